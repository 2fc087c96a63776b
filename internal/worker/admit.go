package worker

import (
	"context"
	"errors"
	"time"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/worker/route"
)

// passed reports, once ctx has ended, whether nobody will read the record
// again: at most once, and its offset is committed. Then it gets its final event
// here, if need be without a call. Any other is left to the next owner.
func passed(ctx context.Context, lease Lease) bool {
	return lease.AtMostOnce() && lease.CommitBeforeCall(ctx) == nil
}

// enter is admit. On a stop, a message that nobody would read again gets the
// grace on top.
func (e *Engine) enter(life *lifetime.Lifetime, m *job, units [][]int) error {
	err := e.admit(life.Waiting(), m, units)
	if err == nil || errors.Is(err, errExpired) || isCancel(err) {
		return err
	}
	if m.committed = m.committed || passed(life.Waiting(), m.lease); !m.committed {
		return err
	}
	return withGrace(life.Waiting(), life.Calls(), func(ctx context.Context) error { return e.admit(ctx, m, units) })
}

// admit waits until an attempt with calls to these units may be published: one of
// a message that is paused is not. Its error is the cause of ctx's end, errExpired
// or a *orders.Canceled.
func (e *Engine) admit(ctx context.Context, m *job, units [][]int) error {
	ctx, cancel := e.untilExpiry(ctx, m)
	defer cancel()
	for {
		err := e.awaitOrders(ctx, m)
		if err == nil {
			err = e.askRoute(ctx, m, units)
		}
		if !errors.Is(err, orders.ErrPaused) {
			return err
		}
	}
}

// askRoute has the route admit an attempt, unless the message is paused or
// canceled meanwhile.
func (e *Engine) askRoute(ctx context.Context, m *job, units [][]int) error {
	ctx, cancel := m.orders.Free(ctx)
	defer cancel()
	e.opts.Pending.show(m, waiting, time.Time{})
	m.route = e.route
	m.admission = route.Attempt{Lease: m.lease, Delivery: &m.delivery, Lane: e.opts.Lane, Refused: m.last.unspent}
	if err := m.route.Admit(ctx, &m.admission, len(units), joined(units)); err != nil {
		return err
	}
	err := m.orders.Standing()
	if err != nil {
		m.route.Withdraw(&m.admission, len(units))
	}
	return err //nolint:wrapcheck // it is one of two
}
