package smtp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/providers/email"
)

// session is one call: the transactions that one message needs.
type session struct {
	p     *Provider
	m     *email.Message
	l     *letter
	limit limits

	ascii       *draft       // for a server without SMTPUTF8; made when it is needed
	unreachable map[int]bool // recipients whom such a server does not take

	c        *conn
	further  bool // a transaction has delivered the message
	replaced bool // its first connection was closed, for there were too many
	receipt  email.Receipt
	queued   []string // queue ids
}

// send takes the message to its recipients, and leaves the call's slot.
func (s *session) send(ctx context.Context) {
	ended := false
	defer func() {
		if s.c == nil {
			s.p.pool.leave()
			return
		}
		s.c.broken = s.c.broken || !ended // a panic: nobody knows where it stands
		s.p.pool.give(s.c)
	}()
	rcpts := make([]int, len(s.l.to))
	for i := range rcpts {
		rcpts[i] = i
	}
	s.c = s.p.pool.take()
	for len(rcpts) > 0 && s.receipt.Err == nil {
		if s.further && !s.inTime(ctx) {
			s.fail(rcpts, &email.TimeUpError{Limit: s.limit.timeout})
			break
		}
		rcpts = s.transact(ctx, rcpts)
	}
	ended = true
}

// inTime reports whether another transaction may begin, and shortens its limit
// to what ctx leaves: a wait for the reply to its last line must end before
// ctx does, or it would be cut though the server is well.
func (s *session) inTime(ctx context.Context) bool {
	if end, ok := ctx.Deadline(); ok {
		if end = end.Add(-s.limit.data); end.Before(s.limit.envelope) {
			s.limit.envelope = end
		}
	}
	return time.Now().Before(s.limit.envelope)
}

// fail ends the call for rcpts, who had no answer of their own.
//
// A further transaction that runs out of time before its last line had only
// what the ones before it left: that is no failure of the server.
func (s *session) fail(rcpts []int, err error) {
	line, ok := errors.AsType[*email.ConnectionError](err)
	if ok && s.further && !line.Ambiguous && isTimeout(line) {
		err = &email.TimeUpError{Limit: s.limit.timeout}
	}
	s.receipt.Failed, s.receipt.Err = rcpts, err
}

// transact makes one transaction and returns who is left for another.
func (s *session) transact(ctx context.Context, rcpts []int) (left []int) {
	if s.c != nil && !s.c.quiet() {
		// What it said would be taken for the reply to the next command.
		s.p.pool.drop(s.c)
		s.c = nil
	}
	if s.c == nil {
		c, err := s.p.pool.get(ctx, s.limit.envelope)
		if err != nil {
			s.fail(rcpts, err)
			return nil
		}
		s.c = c
	}
	l, rcpts, err := s.letterFor(rcpts)
	if err != nil {
		s.fail(rcpts, err)
	}
	if err != nil || len(rcpts) == 0 {
		return nil
	}
	stop := context.AfterFunc(ctx, s.c.cut)
	first := !s.c.begun
	s.c.begun = true
	t := &transaction{c: s.c, l: l, rcpts: rcpts}
	err = t.run(ctx, s.limit)
	if !stop() {
		s.c.broken = true // its deadline may be set at any moment
	}
	if closing421(err) && t.dead && (first || s.replaced) {
		return s.replace(ctx, t, rcpts, err)
	}
	if err != nil && t.dead && s.c.reused {
		// The server had closed it before it knew of the message, or its
		// replies are not about the message: that is no failure of the
		// message, and happens once.
		s.p.pool.drop(s.c)
		s.c = nil
		return rcpts
	}
	return s.settle(t, rcpts, err)
}

// letterFor returns the letter in the form that the server takes, and for whom
// it is. Who cannot be reached through this server is refused.
func (s *session) letterFor(rcpts []int) (*letter, []int, error) {
	if !s.l.utf8 || s.c.offers.smtpUTF8 {
		return s.l, rcpts, nil
	}
	if s.ascii == nil {
		a, unreachable, err := inASCII(s.m)
		if err != nil {
			return nil, rcpts, err
		}
		if s.ascii, err = s.p.letters.write(&a, true); err != nil {
			return nil, rcpts, err
		}
		s.unreachable = unreachable
	}
	left := make([]int, 0, len(rcpts))
	for _, i := range rcpts {
		if s.unreachable[i] {
			s.receipt.Refusals = append(s.receipt.Refusals, email.Refusal{Recipient: i, Reply: needsUTF8()})
			continue
		}
		left = append(left, i)
	}
	return &s.ascii.letter, left, nil
}

// freeASCII takes back what letterFor made.
func (s *session) freeASCII() {
	if s.ascii != nil {
		s.p.letters.free(s.ascii)
	}
}

// replace gives up a new connection that the server closes at its first
// command: where others of ours work, it is one too many, as if it had been
// refused at its greeting. The message goes on one that has served others;
// where that is closed too, the reply is about the message.
func (s *session) replace(ctx context.Context, t *transaction, rcpts []int, err error) (left []int) {
	s.p.pool.drop(s.c)
	s.c = nil
	if s.replaced || !s.p.pool.shrink() {
		return s.settle(t, rcpts, err)
	}
	s.replaced = true
	if s.c, err = s.p.pool.idleSoon(ctx, s.limit.envelope, true); err != nil {
		s.fail(rcpts, err)
		return nil
	}
	return rcpts
}

// closing421 reports a reply by which the server closes the connection (RFC
// 5321, 3.8).
func closing421(err error) bool {
	reply, ok := errors.AsType[*email.ReplyError](err)
	return ok && reply.Code == 421
}

// settle notes how a transaction ended and returns who is left for another.
func (s *session) settle(t *transaction, rcpts []int, err error) (left []int) {
	answered := t.refusals
	if err != nil {
		// Whoever found the transaction full was no part of it: what became of
		// it, if anybody knows, says nothing of them.
		answered = slices.Concat(t.refusals, t.surplus)
	}
	s.receipt.Refusals = append(s.receipt.Refusals, answered...)
	if err != nil {
		rcpts = slices.DeleteFunc(slices.Clone(rcpts), func(i int) bool {
			return slices.ContainsFunc(answered, func(r email.Refusal) bool { return r.Recipient == i })
		})
		if len(rcpts) > 0 { // else everybody had an answer before
			s.fail(rcpts, err)
		}
		return nil
	}
	for _, r := range t.surplus {
		left = append(left, r.Recipient)
	}
	if len(t.accepted) == 0 {
		return left
	}
	s.c.served++
	s.c.reused = true // the server knows of the message now
	s.receipt.Reply = t.reply
	if tell := s.p.queuedForLater; tell != nil && (t.later || queuedForLater(t.reply.Message)) {
		tell()
	}
	if id := queueID(t.reply.Message); id != "" {
		s.queued = append(s.queued, id)
	}
	s.further = true
	return left
}

// end puts the receipt together for a message with n recipients.
func (s *session) end(n int) (email.Receipt, error) {
	r := s.receipt
	if len(r.Failed) == n {
		return email.Receipt{}, r.Err
	}
	r.QueueID = strings.Join(s.queued, ",")
	return r, nil
}
