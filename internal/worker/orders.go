package worker

import (
	"context"
	"errors"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/worker/route"
)

// Why an attempt is taken back for an order. The reason of a cancel is its
// event's.
var (
	errPaused   = errors.New("paused before the call")
	errCanceled = errors.New("canceled before the call")
)

// watch begins to watch what is ordered about the message. Without a board there
// is nothing to watch.
func (e *Engine) watch(m *job) {
	if e.opts.Orders == nil {
		return
	}
	of := m.delivery.Envelope
	m.orders = e.opts.Orders.Watch(orders.Message{
		ID: of.MessageID, Lane: e.opts.Lane, Tenant: of.TenantID, Provider: e.opts.Provider, Meta: of.Meta,
	})
}

// awaitOrders waits while the message is paused: that holds up no other, and
// spends nothing. Its error is a *orders.Canceled, or the cause of ctx's end.
func (e *Engine) awaitOrders(ctx context.Context, m *job) error {
	if err := m.orders.Standing(); !errors.Is(err, orders.ErrPaused) {
		return err //nolint:wrapcheck // nil or a cancel
	}
	e.opts.Pending.show(m, paused, time.Time{})
	return m.lease.Yield(func() error { return m.orders.Await(ctx) }) //nolint:wrapcheck // see above
}

// untilOrdered is untilExpiry, and ends with orders.ErrPaused or a
// *orders.Canceled as soon as the message is paused or canceled.
func (e *Engine) untilOrdered(ctx context.Context, m *job) (context.Context, context.CancelFunc) {
	expiring, cancel := e.untilExpiry(ctx, m)
	if m.orders == nil {
		return expiring, cancel
	}
	free, end := m.orders.Free(expiring)
	return free, func() {
		end()
		cancel()
	}
}

// lastLook returns what was ordered about a message whose call was let start, or
// nil. Then slot and tokens are given back, and the call is admitted still. What
// is ordered after it finds the call under way.
func (m *job) lastLook(started route.Call) error {
	err := m.orders.Standing()
	if err != nil {
		m.route.End(started, route.Outcome{Failure: &common.Failure{NotCalled: true}})
	}
	return err //nolint:wrapcheck // it is one of two
}

// notMade is a call that was admitted and is not made, because of err.
func notMade(recipients []int, err error) result {
	r := result{recipients: recipients, withdrawn: true, ordered: true}
	switch {
	case errors.Is(err, orders.ErrPaused):
		r.failure = common.Transient(errPaused)
	case isCancel(err):
		r.failure = common.Transient(errCanceled)
	default:
		r.failure, r.ordered = common.Transient(errNotStarted), false
	}
	return r
}

func isCancel(err error) bool {
	_, is := errors.AsType[*orders.Canceled](err)
	return is
}

// canceled ends a message that nobody is to be called for any more.
func (e *Engine) canceled(ctx context.Context, m *job, order *orders.Canceled) error {
	m.publish(ctx, models.StatusEvent{
		EventType: models.EventCanceled, Attempt: m.progress.Spent(), ProviderResponse: m.untilCanceled(), Error: order.Error(),
	})
	e.opts.Pending.show(m, ending, time.Time{})
	e.debug(m).Msg("canceled")
	return m.flush(ctx)
}

// untilCanceled is what the providers answered before the message was canceled,
// nil where nobody was called, and who has it.
func (m *job) untilCanceled() *models.ProviderResponse {
	if m.progress.Count(message.Accepted) == 0 && m.progress.Spent() == 0 {
		return nil
	}
	resp := m.response(false)
	resp.Meta = cloned(resp.Meta)
	m.progress.CanceledMeta(resp.Meta)
	return resp
}
