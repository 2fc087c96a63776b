package smtp

import (
	"context"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/providers/email"
)

// session is one call: the transactions that one message needs.
type session struct {
	p     *Provider
	l     *letter
	limit limits

	c       *conn
	receipt email.Receipt
	queued  []string // queue ids
}

// send takes the message to its recipients. The call's slot is left with the
// connection, or here when there is none.
func (s *session) send(ctx context.Context) {
	rcpts := make([]int, len(s.l.to))
	for i := range rcpts {
		rcpts[i] = i
	}
	if s.c = s.p.pool.take(); s.c == nil && !s.connect(ctx) {
		s.receipt.Failed = rcpts
		return
	}
	stop := context.AfterFunc(ctx, s.c.cut)
	for len(rcpts) > 0 && s.receipt.Err == nil {
		t := &transaction{c: s.c, l: s.l, rcpts: rcpts}
		err := t.run(ctx, s.limit)
		if err != nil && t.dead && s.c.reused {
			// The server had closed it before it knew of the message: that is
			// no failure of the message, and happens once.
			stop()
			s.c.close()
			if !s.connect(ctx) {
				s.receipt.Failed = rcpts
				return
			}
			stop = context.AfterFunc(ctx, s.c.cut)
			continue
		}
		rcpts = s.settle(t, rcpts, err)
	}
	if !stop() {
		s.c.broken = true // its deadline may be set at any moment
	}
	s.p.pool.give(s.c)
}

// connect makes a new connection, or leaves the slot and says why not.
func (s *session) connect(ctx context.Context) bool {
	if s.c, s.receipt.Err = s.p.connect(ctx, s.limit.envelope); s.receipt.Err != nil {
		s.p.pool.leave()
	}
	return s.receipt.Err == nil
}

// settle notes how a transaction ended and returns who is left for another.
func (s *session) settle(t *transaction, rcpts []int, err error) (left []int) {
	s.receipt.Refusals = append(s.receipt.Refusals, t.refusals...)
	if err != nil {
		s.receipt.Err = err
		s.receipt.Failed = slices.DeleteFunc(slices.Clone(rcpts), func(i int) bool {
			return slices.ContainsFunc(t.refusals, func(r email.Refusal) bool { return r.Recipient == i })
		})
		if len(s.receipt.Failed) == 0 {
			s.receipt.Err = nil // everybody had an answer before
		}
		return nil
	}
	if len(t.accepted) == 0 {
		return nil
	}
	s.c.served++
	s.c.reused = true // the server knows of the message now
	s.receipt.Reply = t.reply
	if id := queueID(t.reply.Message); id != "" {
		s.queued = append(s.queued, id)
	}
	// Each transaction has the time of a call: they are calls of their own
	// but for their price.
	s.limit.envelope = time.Now().Add(s.limit.timeout)
	for _, r := range t.surplus {
		left = append(left, r.Recipient)
	}
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
