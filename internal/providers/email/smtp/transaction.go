package smtp

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"messaging-worker/internal/providers/email"
)

// maxGroup is how many commands are written before their replies are read. A
// group of 250 has at most 70 KiB, and its replies fit into the kernels'
// buffers, so that neither side can block the other (RFC 2920, 3.1).
const maxGroup = 250

// hangUpWait is how long to wait for the reply of a server that closed the
// connection while the message was written.
const hangUpWait = 500 * time.Millisecond

// transaction is one run of MAIL, RCPT, DATA and the message over c.
type transaction struct {
	opts     *Options
	deadline time.Time // for its last line
	c        *conn
	msg      *wireMessage
	rcpts    []int // positions in msg.to

	before       int   // commands before the first RCPT: MAIL, and RSET where it is needed
	accepted     []int // by RCPT
	refusals     []email.Refusal
	surplus      []email.Refusal // recipients beyond what the server takes in one transaction
	queuedLater  bool            // a reply to RCPT says that the message is queued for later
	refused      error           // the refusal of MAIL or DATA, or a 421 to any command
	dataAccepted bool            // the server answered DATA with 354 and waits for the message
	repeatable   bool            // the connection was closed before the transaction began, or the replies are out of sync

	reply email.Reply // to the last line; zero when the message was not accepted
}

// run sends the message. A nil error means that the recipients in accepted have
// it; else none has it, or it is unknown.
func (t *transaction) run(ctx context.Context) error {
	if limit := t.c.offers.size; limit > 0 && t.msg.size > limit {
		return &email.UnsendableError{Reason: fmt.Sprintf("the message has %d bytes, the server takes at most %d", t.msg.size, limit)}
	}
	t.c.setDeadline(ctx, t.deadline)
	if err := t.envelope(ctx); err != nil {
		return err
	}
	if t.refused == nil && len(t.accepted) > 0 {
		return t.content(ctx)
	}
	t.c.dirty = true
	switch {
	case t.c.broken:
	case t.dataAccepted:
		// RFC 2920, 3.1: the server took DATA though no recipient was accepted.
		// A lone dot ends that; whatever it replies, nothing was sent.
		if r, err := t.c.command("."); err != nil || r.Code == 421 {
			t.c.broken = true
		}
	case t.c.extraReplies:
		t.checkSync()
	}
	return t.refused
}

// envelope sends MAIL, every RCPT and DATA, in one write where the server
// offers pipelining (RFC 2920), else one by one.
func (t *transaction) envelope(ctx context.Context) error {
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
			return nil // DATA is not sent yet
		}
		if err := t.group(ctx, first, min(first+group, total)); err != nil {
			return err
		}
	}
	return nil
}

// group writes the commands from first up to last at once and reads all replies
// to them.
func (t *transaction) group(ctx context.Context, first, last int) error {
	for i := first; i < last; i++ {
		t.queueCommand(i)
	}
	err := t.c.flush()
	for i := first; i < last; i++ {
		var r email.Reply
		if err == nil {
			r, err = t.c.readPipelined(last-1-i, nil)
		}
		if err != nil {
			t.repeatable = i < t.before && !timedOut(ctx, err)
			return t.c.connectionError(ctx, t.stage(i), t.opts.Timeout, err)
		}
		if t.handleReply(i, r); t.c.broken {
			return t.refused
		}
	}
	return nil
}

func (t *transaction) stage(i int) string {
	switch {
	case i < t.before-1:
		return email.StageRSET
	case i < t.before:
		return email.StageMAIL
	case i < t.before+len(t.rcpts):
		return email.StageRCPT
	}
	return email.StageDATA
}

// queueCommand queues command i.
func (t *transaction) queueCommand(i int) {
	switch stage := t.stage(i); stage {
	case email.StageMAIL:
		size, body, utf8 := "", "", ""
		if t.c.offers.size > 0 {
			size = " SIZE=" + strconv.FormatInt(t.msg.size, 10)
		}
		if t.msg.eightBit && t.c.offers.eightBitMIME {
			body = " BODY=8BITMIME"
		}
		if t.msg.utf8 {
			utf8 = " SMTPUTF8"
		}
		t.c.queue("MAIL FROM:<", t.msg.from, ">", size, body, utf8)
	case email.StageRCPT:
		t.c.queue("RCPT TO:<", t.msg.to[t.rcpts[i-t.before]], ">")
	default: // RSET and DATA
		t.c.queue(stage)
	}
}

// handleReply applies the reply to command i.
func (t *transaction) handleReply(i int, r email.Reply) {
	stage := t.stage(i)
	if r.Code == 421 {
		// The server closes (RFC 5321, 3.8): no further command is answered.
		t.c.broken, t.repeatable = true, i < t.before
		t.refused = &email.ReplyError{Reply: r, Stage: stage}
		return
	}
	if intermediate(r) && stage != email.StageDATA || positive(r) && stage == email.StageDATA {
		t.outOfSync(stage, r)
		return
	}
	refused := !positive(r)
	switch stage {
	case email.StageRSET:
		t.c.dirty = false
		if refused {
			t.c.broken, t.repeatable = true, true
		}
	case email.StageRCPT:
		t.handleRcptReply(t.rcpts[i-t.before], r)
		return
	case email.StageDATA:
		t.dataAccepted = intermediate(r)
		refused = !t.dataAccepted && t.refused == nil && len(t.accepted) > 0
	}
	if refused {
		t.refused = &email.ReplyError{Reply: r, Stage: stage}
	}
}

func (t *transaction) handleRcptReply(recipient int, r email.Reply) {
	switch {
	case t.refused != nil: // RCPT without MAIL: its reply means nothing
	case positive(r):
		t.accepted = append(t.accepted, recipient)
		t.queuedLater = t.queuedLater || queuedForLater(r.Message)
	case r.TooMany() && t.processedAny():
		r.Code, r.Enhanced = 452, [3]int{4, 5, 3} // also where it was 552 (RFC 5321, 4.5.3.1.10)
		t.surplus = append(t.surplus, email.Refusal{Recipient: recipient, Reply: r})
	default:
		t.refusals = append(t.refusals, email.Refusal{Recipient: recipient, Reply: r})
	}
}

// processedAny reports whether the transaction has dealt with a recipient, so
// that a further one has fewer: some servers count refused recipients too.
func (t *transaction) processedAny() bool {
	return len(t.accepted) > 0 || slices.ContainsFunc(t.refusals, func(r email.Refusal) bool { return !r.Reply.TooMany() })
}

// content writes the message and reads the reply to its last line.
func (t *transaction) content(ctx context.Context) error {
	if _, err := t.c.stream.Write(t.msg.wire); err != nil {
		// The last line was not written whole, so the message is not accepted.
		return t.replyAfterHangUp(ctx, err)
	}
	t.c.setDeadline(ctx, time.Now().Add(t.opts.DataTimeout))
	t.c.extraReplies = true
	r, err := t.c.readReply()
	switch {
	case err != nil:
		return t.c.connectionError(ctx, email.StageMessage, t.opts.DataTimeout, err)
	case positive(r):
		t.reply = r
		return nil
	case r.Code < 400: // it asks for more of a message that has ended
		return t.c.connectionError(ctx, email.StageMessage, t.opts.DataTimeout, &unreadable{text: replyText(r), err: errProtocol})
	}
	t.c.dirty, t.c.broken = true, t.c.broken || r.Code == 421
	return &email.ReplyError{Reply: r, Stage: email.StageMessage}
}

// replyAfterHangUp looks for the reply of a server that closed the connection
// while the message was written: it may give the reason.
func (t *transaction) replyAfterHangUp(ctx context.Context, err error) error {
	if !timedOut(ctx, err) {
		t.c.setDeadline(ctx, time.Now().Add(hangUpWait))
		if r, e := t.c.readReply(); e == nil && r.Code >= 400 {
			t.c.broken = true
			return &email.ReplyError{Reply: r, Stage: email.StageMessage}
		}
	}
	return t.c.connectionError(ctx, email.StageBody, t.opts.Timeout, err)
}

// checkSync makes sure that a refusal was the reply to this transaction. The
// server may have sent two replies to the previous message, the second one late:
// then every reply here was read as that to the command after its own, and what
// is read as the reply to RSET is that to DATA, which is no 2yz without a
// message. A second reply that is itself a refusal cannot be noticed where
// commands are sent one by one and it ends them before DATA.
func (t *transaction) checkSync() {
	r, err := t.c.command("RSET")
	switch {
	case err != nil, r.Code == 421:
		t.c.broken = true
	case positive(r):
		t.c.dirty = false
	default:
		t.outOfSync(email.StageRSET, r)
	}
}

// outOfSync voids the replies read so far: r cannot be the reply to the command
// of this stage, so the replies before it may belong to other commands too. The
// message itself is not written yet, so nobody has it.
func (t *transaction) outOfSync(stage string, r email.Reply) {
	t.c.broken, t.repeatable, t.dataAccepted = true, true, false
	t.accepted, t.refusals, t.surplus = nil, nil, nil
	t.refused = &email.ProtocolError{Stage: stage, Text: replyText(r)}
}
