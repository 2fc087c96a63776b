package smtp

import (
	"context"
	"errors"
	"slices"
	"time"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// call is one provider call: the transactions that one message needs.
type call struct {
	p        *Provider
	m        *email.Message
	msg      *wireMessage
	deadline time.Time // for the last line of every transaction

	ascii        *messageBuffer // for a server without SMTPUTF8; made when it is needed
	c            *conn
	further      bool // a transaction has delivered the message
	connReplaced bool // the server closed its first connection: there were too many
	receipt      email.Receipt
}

// send delivers the message to its recipients, and releases the call's slot.
func (s *call) send(ctx context.Context) {
	ended := false
	defer func() {
		if s.c != nil && !ended { // a panic: the state of the conversation is unknown
			s.c.broken = true
		}
		s.p.pool.put(s.c)
	}()
	rcpts := make([]int, len(s.msg.to))
	for i := range rcpts {
		rcpts[i] = i
	}
	s.c = s.p.pool.takeIdle()
	for len(rcpts) > 0 && s.receipt.Err == nil {
		if s.further && !s.timeLeft(ctx) {
			s.setFailed(rcpts, &email.TimeUpError{Limit: s.p.opts.Timeout})
			break
		}
		rcpts = s.transact(ctx, rcpts)
	}
	ended = true
}

// timeLeft reports whether another transaction may begin, and shortens its time
// limit so that the wait for the reply to its last line ends before ctx does:
// else a call to a healthy server would be cut.
func (s *call) timeLeft(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	if end = end.Add(-s.p.opts.DataTimeout); ok && end.Before(s.deadline) {
		s.deadline = end
	}
	return time.Now().Before(s.deadline)
}

// setFailed ends the call with err for rcpts, who had no reply of their own.
//
// A further transaction that runs out of time before its last line had only
// the time that the ones before it left: that is no failure of the server.
func (s *call) setFailed(rcpts []int, err error) {
	line, ok := errors.AsType[*email.ConnectionError](err)
	if ok && s.further && !line.Ambiguous && isTimeout(line) {
		err = &email.TimeUpError{Limit: s.p.opts.Timeout}
	}
	s.receipt.Failed, s.receipt.Err = rcpts, err
}

// transact makes one transaction and returns who is left for another.
func (s *call) transact(ctx context.Context, rcpts []int) (left []int) {
	if s.c != nil && !s.c.silent() {
		// What it sent would be read as the reply to the next command.
		s.p.pool.drop(s.c)
		s.c = nil
	}
	if s.c == nil {
		c, err := s.p.pool.get(ctx, s.deadline)
		if err != nil {
			s.setFailed(rcpts, err)
			return nil
		}
		s.c = c
	}
	l, rcpts, err := s.messageFor(rcpts)
	if err != nil {
		s.setFailed(rcpts, err)
	}
	if err != nil || len(rcpts) == 0 {
		return nil
	}
	stop := context.AfterFunc(ctx, s.c.cut)
	first := !s.c.used
	s.c.used = true
	t := &transaction{opts: &s.p.opts, deadline: s.deadline, c: s.c, msg: l, rcpts: rcpts}
	err = t.run(ctx)
	if !stop() {
		s.c.broken = true // cut may set its deadline at any moment
	}
	reply, _ := errors.AsType[*email.ReplyError](err)
	closes := reply != nil && reply.Code == 421 // RFC 5321, 3.8
	if closes && t.repeatable && (first || s.connReplaced) {
		return s.replaceConn(ctx, t, rcpts, err)
	}
	if err != nil && t.repeatable && s.c.reused {
		// The server had closed the connection before it knew of the message,
		// or its replies are not about the message. That is no failure of the
		// message: it is sent again on a new connection, once.
		s.p.pool.drop(s.c)
		s.c = nil
		return rcpts
	}
	return s.record(t, rcpts, err)
}

// messageFor returns the message in the form that the server takes, and the
// recipients that it can be sent to. The others are refused.
func (s *call) messageFor(rcpts []int) (*wireMessage, []int, error) {
	if !s.msg.utf8 || s.c.offers.smtpUTF8 {
		return s.msg, rcpts, nil
	}
	if s.ascii == nil {
		a, err := inASCII(s.m)
		if err != nil {
			return nil, rcpts, err
		}
		if s.ascii, err = s.p.messages.write(&a, true); err != nil {
			return nil, rcpts, err
		}
	}
	left := make([]int, 0, len(rcpts))
	for _, i := range rcpts {
		if util.IsASCII(s.ascii.to[i]) {
			left = append(left, i)
		} else {
			s.receipt.Refusals = append(s.receipt.Refusals, email.Refusal{Recipient: i, Reply: needsUTF8()})
		}
	}
	return &s.ascii.wireMessage, left, nil
}

// replaceConn gives up a new connection that the server closes at its first
// command. Where other connections work it is one too many, as if it had been
// refused at the greeting. The message is sent on a connection that has served
// others; if that is closed too, the reply is about the message.
func (s *call) replaceConn(ctx context.Context, t *transaction, rcpts []int, err error) (left []int) {
	s.p.pool.drop(s.c)
	s.c = nil
	if s.connReplaced || !s.p.pool.shrink() {
		return s.record(t, rcpts, err)
	}
	s.connReplaced = true
	if s.c, err = s.p.pool.waitIdleSoon(ctx, s.deadline, true); err != nil {
		s.setFailed(rcpts, err)
		return nil
	}
	return rcpts
}

// record adds the outcome of a transaction to the receipt and returns the
// recipients that need another one.
func (s *call) record(t *transaction, rcpts []int, err error) (left []int) {
	if err != nil {
		// Recipients for whom the transaction was full were no part of it: its
		// outcome says nothing about them.
		t.refusals = append(t.refusals, t.surplus...)
		rcpts = slices.DeleteFunc(slices.Clone(rcpts), func(i int) bool {
			return slices.ContainsFunc(t.refusals, func(r email.Refusal) bool { return r.Recipient == i })
		})
		if len(rcpts) > 0 { // else every recipient had a reply of its own
			s.setFailed(rcpts, err)
		}
	}
	s.receipt.Refusals = append(s.receipt.Refusals, t.refusals...)
	if err != nil {
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
	if tell := s.p.queuedForLater; tell != nil && (t.queuedLater || queuedForLater(t.reply.Message)) {
		tell()
	}
	if id := queueID(t.reply.Message); s.receipt.QueueID == "" {
		s.receipt.QueueID = id
	} else if id != "" {
		s.receipt.QueueID += "," + id
	}
	s.further = true
	return left
}
