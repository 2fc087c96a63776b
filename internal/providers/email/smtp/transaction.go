package smtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"messaging-worker/internal/providers/email"
)

// maxGroup is how many commands are written before their replies are read. A
// group of 250 has at most 70 KiB, and its replies fit into the buffers of the
// kernels between, so that neither side can block the other (RFC 2920, 3.1).
const maxGroup = 250

// lastWords is how long to listen to a server that hung up while the message
// was written.
const lastWords = 500 * time.Millisecond

// lastStage is the stage of the message's last line and the reply to it.
const lastStage = "."

// letter is one message, ready for the wire. It does not change any more.
type letter struct {
	from string
	to   []string // of the envelope
	wire []byte   // dot-stuffed, with the line that ends it
	size int64    // octets of the message (RFC 1870, 3)

	eightBit bool // has octets above 127
	utf8     bool // has addresses beyond ASCII
}

// transaction is one run of MAIL, RCPT, DATA and the message over c.
type transaction struct {
	c     *conn
	l     *letter
	rcpts []int // positions in l.to

	before   int   // commands before the first RCPT: MAIL, and RSET where it is needed
	accepted []int // by RCPT
	refusals []email.Refusal
	surplus  []email.Refusal // too many for one transaction
	later    bool            // a reply to RCPT says that the message will not be delivered now
	refused  error           // MAIL or DATA, or a 421 anywhere
	goOn     bool            // the server waits for the message
	dead     bool            // the connection was gone before the transaction began, or out of step

	reply email.Reply // to the last line; zero when the message was not accepted
}

// limits are the time limits of one call.
type limits struct {
	envelope time.Time     // when the last line must have been written, of every transaction
	timeout  time.Duration // as it was set, for the errors
	data     time.Duration // the wait for the reply to the last line
}

// run takes the message to the recipients. A nil error means that accepted
// have it, where there are any; else nobody does, or nobody knows.
func (t *transaction) run(ctx context.Context, limit limits) error {
	if err := t.fits(); err != nil {
		return err
	}
	t.c.until(ctx, limit.envelope)
	if err := t.envelope(ctx, limit); err != nil {
		return err
	}
	if t.refused == nil && len(t.accepted) > 0 {
		return t.content(ctx, limit)
	}
	t.c.dirty = true
	switch {
	case t.c.broken:
	case t.goOn:
		// RFC 2920, 3.1: the server took DATA though nobody is to get the
		// message. A lone dot ends that; whatever comes back, nothing was sent.
		if r, err := t.c.ask("."); err != nil || r.Code == 421 {
			t.c.broken = true
		}
	case t.c.unsure:
		t.verify()
	}
	return t.refused
}

// fits refuses what is too large for this server, before it is asked.
func (t *transaction) fits() error {
	if limit := t.c.offers.size; limit > 0 && t.l.size > limit {
		return &email.UnsendableError{Reason: fmt.Sprintf("the message has %d bytes, the server takes at most %d", t.l.size, limit)}
	}
	return nil
}

// envelope says MAIL, every RCPT and DATA, all in one write where the server
// takes that (RFC 2920), else one by one.
func (t *transaction) envelope(ctx context.Context, limit limits) error {
	t.before = 1
	if t.c.dirty {
		t.before = 2
	}
	group := 1
	if t.c.offers.pipelining {
		group = maxGroup
	}
	total := t.before + len(t.rcpts) + 1
	for first := 0; first < total && t.refused == nil; first += group {
		if first == total-1 && len(t.accepted) == 0 {
			return nil // DATA is yet unsaid
		}
		if err := t.group(ctx, limit, first, min(first+group, total)); err != nil {
			return err
		}
	}
	return nil
}

// group says the commands from first up to last in one write and hears all
// replies to them.
func (t *transaction) group(ctx context.Context, limit limits, first, last int) error {
	for i := first; i < last; i++ {
		t.say(i)
	}
	err := t.c.flush()
	for i := first; i < last; i++ {
		var r email.Reply
		if err == nil {
			r, err = t.c.hearNext(last - 1 - i)
		}
		if err != nil {
			t.dead = i < t.before && !timedOut(ctx, err)
			return t.c.lost(ctx, t.stage(i), limit.timeout, err)
		}
		if t.hear(i, r); t.c.broken {
			return t.refused
		}
	}
	return nil
}

func (t *transaction) stage(i int) string {
	switch {
	case i < t.before-1:
		return "RSET"
	case i < t.before:
		return "MAIL"
	case i < t.before+len(t.rcpts):
		return "RCPT"
	}
	return "DATA"
}

// say adds command i to what is written next.
func (t *transaction) say(i int) {
	switch t.stage(i) {
	case "MAIL":
		t.sayMail()
	case "RCPT":
		t.c.say("RCPT TO:<", t.l.to[t.rcpts[i-t.before]], ">")
	case "RSET":
		t.c.say("RSET")
	default:
		t.c.say("DATA")
	}
}

func (t *transaction) sayMail() {
	size, body, utf8 := "", "", ""
	if t.c.offers.size > 0 {
		size = " SIZE=" + strconv.FormatInt(t.l.size, 10)
	}
	if t.l.eightBit && t.c.offers.eightBitMIME {
		body = " BODY=8BITMIME"
	}
	if t.l.utf8 {
		utf8 = " SMTPUTF8"
	}
	t.c.say("MAIL FROM:<", t.l.from, ">", size, body, utf8)
}

// hear takes in the reply to command i.
func (t *transaction) hear(i int, r email.Reply) {
	stage := t.stage(i)
	if r.Code == 421 {
		// The server closes (RFC 5321, 3.8): nothing more will be answered.
		t.c.broken, t.dead = true, i < t.before
		t.refused = &email.ReplyError{Reply: r, Stage: stage}
		return
	}
	if intermediate(r) && stage != "DATA" || positive(r) && stage == "DATA" {
		t.outOfStep(stage, r)
		return
	}
	switch stage {
	case "RSET":
		t.c.dirty = false
		if !positive(r) {
			t.c.broken, t.dead = true, true
			t.refused = &email.ReplyError{Reply: r, Stage: stage}
		}
	case "MAIL":
		if !positive(r) {
			t.refused = &email.ReplyError{Reply: r, Stage: stage}
		}
	case "RCPT":
		t.hearRecipient(t.rcpts[i-t.before], r)
	case "DATA":
		t.goOn = intermediate(r)
		if !t.goOn && t.refused == nil && len(t.accepted) > 0 {
			t.refused = &email.ReplyError{Reply: r, Stage: stage}
		}
	}
}

func (t *transaction) hearRecipient(recipient int, r email.Reply) {
	switch {
	case t.refused != nil: // RCPT without MAIL: its reply says nothing
	case positive(r):
		t.accepted = append(t.accepted, recipient)
		t.later = t.later || queuedForLater(r.Message)
	case r.TooMany() && t.counts():
		r.Code, r.Enhanced = 452, [3]int{4, 5, 3} // also where it was 552 (RFC 5321, 4.5.3.1.10)
		t.surplus = append(t.surplus, email.Refusal{Recipient: recipient, Reply: r})
	default:
		t.refusals = append(t.refusals, email.Refusal{Recipient: recipient, Reply: r})
	}
}

// counts reports whether the transaction has dealt with somebody, so that a
// further one has fewer to deal with: some servers count whom they refuse too.
func (t *transaction) counts() bool {
	return len(t.accepted) > 0 || slices.ContainsFunc(t.refusals, func(r email.Refusal) bool { return !r.Reply.TooMany() })
}

// content writes the message and waits for what becomes of it.
func (t *transaction) content(ctx context.Context, limit limits) error {
	if _, err := t.c.line.Write(t.l.wire); err != nil {
		// The last line was not written whole, so the message is not accepted.
		return t.hungUp(ctx, limit, err)
	}
	t.c.until(ctx, time.Now().Add(limit.data))
	t.c.unsure = true
	r, err := t.c.hear()
	switch {
	case err != nil:
		return t.c.lost(ctx, lastStage, limit.data, err)
	case positive(r):
		t.reply = r
		return nil
	case r.Code < 400: // it asks for more of what has ended
		return t.c.lost(ctx, lastStage, limit.data, &unreadable{text: words(r), err: errProtocol})
	}
	t.c.dirty, t.c.broken = true, t.c.broken || r.Code == 421
	return &email.ReplyError{Reply: r, Stage: lastStage}
}

// hungUp looks for the reply of a server that closed while it was written to:
// it may have said why.
func (t *transaction) hungUp(ctx context.Context, limit limits, err error) error {
	if !timedOut(ctx, err) {
		t.c.until(ctx, time.Now().Add(lastWords))
		if r, e := t.c.hear(); e == nil && r.Code >= 400 {
			t.c.broken = true
			return &email.ReplyError{Reply: r, Stage: lastStage}
		}
	}
	return t.c.lost(ctx, "body", limit.timeout, err)
}

func timedOut(ctx context.Context, err error) bool { return ctx.Err() != nil || isTimeout(err) }

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// lastLine ends a message (RFC 5321, 4.1.1.4).
const lastLine = ".\r\n"

// stuff appends a message to dst as it goes on the wire: a dot before every
// line that begins with one, and the last line (RFC 5321, 4.5.2).
func stuff(dst, message []byte) []byte {
	if len(message) > 0 && message[0] == '.' {
		dst = append(dst, '.')
	}
	for {
		i := bytes.Index(message, []byte("\n."))
		if i < 0 {
			break
		}
		dst = append(append(dst, message[:i+2]...), '.')
		message = message[i+2:]
	}
	return append(append(dst, message...), lastLine...)
}
