package smtp

import (
	"strings"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// needsUTF8 is the reply in the place of a server's to a recipient that only a
// server with SMTPUTF8 takes (RFC 6531, 3.2; the codes are those of 3.5).
func needsUTF8() email.Reply {
	return email.Reply{Code: 553, Enhanced: [3]int{5, 6, 7}, Message: "the address needs SMTPUTF8, which the server does not offer"}
}

// inASCII returns m as it goes to a server without SMTPUTF8, with the domains
// in their ASCII form (RFC 5890, 2.3.2.1), and the positions of the recipients
// that have none. To and CC keep mailboxes that have none: writeMailboxes knows
// what to do with them. The error is *email.UnsendableError: without a sender,
// or with replies going elsewhere, it would be another mail.
func inASCII(m *email.Message) (a email.Message, unreachable map[int]bool, err error) {
	var ok bool
	a = *m
	if a.From, ok = asciiMailbox(m.From); !ok {
		return a, nil, &email.UnsendableError{Reason: "the sender's address needs SMTPUTF8, which the server does not offer"}
	}
	if a.ReplyTo, ok = asciiMailbox(m.ReplyTo); !ok {
		return a, nil, &email.UnsendableError{Reason: "the address for replies needs SMTPUTF8, which the server does not offer"}
	}
	a.To, _ = asciiMailboxes(m.To)
	a.CC, _ = asciiMailboxes(m.CC)
	a.Recipients, unreachable = asciiMailboxes(m.Recipients)
	return a, unreachable, nil
}

// asciiMailboxes does so for a list, and returns the positions of those that
// have no ASCII form. They stay as they are.
func asciiMailboxes(list []string) (out []string, without map[int]bool) {
	without = map[int]bool{}
	for i, mailbox := range list {
		ascii, ok := asciiMailbox(mailbox)
		if !ok {
			without[i] = true
		}
		out = append(out, ascii)
	}
	return out, without
}

// asciiMailbox returns a mailbox with its domain in ASCII; as it is, and false,
// where its local part is not, for which there is no such form, or the domain
// is none of IDNA.
func asciiMailbox(mailbox string) (string, bool) {
	if util.IsASCII(mailbox) {
		return mailbox, true
	}
	domain := domainOf(mailbox)
	local := mailbox[:len(mailbox)-len(domain)]
	ascii, ok := util.ASCIIDomain(domain)
	if !ok || !util.IsASCII(local) {
		return mailbox, false
	}
	return local + ascii, true
}

// asGroup names a mailbox that cannot stand in a header of ASCII: a group
// without members whose name is the address (RFC 5322, 3.4; RFC 6857 does so
// with mail for old readers). Nobody can reply to it, but all see who else the
// mail was written to.
func asGroup(mailbox string) string {
	return strings.ReplaceAll(encodeWords(mailbox), " ", "\r\n ") + " :;"
}
