// Package email holds the providers that deliver mail.
package email

import (
	"fmt"
	"time"
)

// Message is one mail and the recipients that one call is to reach.
type Message struct {
	ID          string // the request's message id
	From        string
	To, CC, BCC []string // as the request gives them, for the header
	Recipients  []string // of the envelope: who is still to get it
	Subject     string
	HTML        bool
	Body        string
	CreatedAt   time.Time

	// ReplyTo is a mailbox, ListUnsubscribe an https URL in printable ASCII
	// for one-click unsubscription (RFC 8058); empty where not wanted.
	ReplyTo, ListUnsubscribe string
}

// Reply is a server's reply (RFC 5321, 4.2, and RFC 3463).
type Reply struct {
	Code     int
	Enhanced [3]int // zero where the server gave none
	Message  string // its text, without the codes
}

// String returns the code, and where there is one the enhanced code.
func (r Reply) String() string {
	if r.Enhanced[0] == 0 {
		return fmt.Sprintf("smtp %d", r.Code)
	}
	return fmt.Sprintf("smtp %d %d.%d.%d", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2])
}

// TooMany reports a reply that, to a recipient behind another one, says that
// the transaction is full: X.5.3 (RFC 3463, 3.6) behind whatever basic code,
// and 452, or 552 from servers that go by RFC 821, without an enhanced code
// (RFC 5321, 4.5.3.1.10). With another enhanced code these say that a disk or
// a mailbox is full. Postfix, Sendmail, Exchange and Gmail answer 452 4.5.3,
// Exim 452 or 552, OpenSMTPD 451 4.5.3, others 550 5.5.3.
func (r Reply) TooMany() bool {
	switch {
	case r.Code < 400:
		return false
	case r.Enhanced[0] == 0:
		return r.Code == 452 || r.Code == 552
	}
	return r.Enhanced[1] == 5 && r.Enhanced[2] == 3
}

// Refusal is the reply that refused one recipient.
type Refusal struct {
	Recipient int // position in Message.Recipients
	Reply     Reply
}

// Receipt is how a conversation ended that was not refused as a whole. Every
// recipient that is neither in Refusals nor in Failed has the mail.
type Receipt struct {
	Reply    Reply // to the last line; zero when no recipient was accepted
	Refusals []Refusal
	QueueID  string // where the reply names one; comma-separated where several transactions were needed

	// Failed are the positions of the recipients that had no answer of their
	// own before the conversation failed with Err. Both are nil where it did
	// not fail. Err is of the types that Send returns, or *TimeUpError.
	Failed []int
	Err    error
}
