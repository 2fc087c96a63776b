package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
)

// end publishes what the message came to, unless err says that the worker is
// stopping and somebody will read the record again.
func (e *Engine) end(life *lifetime.Lifetime, m *job, err error) error {
	calls := life.Calls()
	if order, ok := errors.AsType[*orders.Canceled](err); ok {
		// Another worker that owns the record by now may have called somebody.
		if err = m.lease.Await(life.Waiting()); err == nil {
			return e.canceled(calls, m, order)
		}
	}
	switch {
	case errors.Is(err, errExpired):
		if m.last.withdrawn {
			m.progress.Withdraw()
		}
		m.progress.Refuse(time.Now().UTC(), errExpired)
		return e.failed(calls, m)
	case err != nil && m.committed && calls.Err() == nil:
		m.progress.GiveUp(time.Now().UTC(), errNotStarted)
		return e.failed(calls, m)
	case err != nil:
		return errors.Join(err, m.flushOnStop(calls))
	case m.progress.Delivered():
		return e.sent(calls, m)
	}
	return e.failed(calls, m)
}

func (e *Engine) sent(ctx context.Context, m *job) error {
	m.publish(ctx, models.StatusEvent{EventType: models.EventSent, Attempt: m.progress.Spent(), ProviderResponse: m.response(true)})
	e.opts.Pending.show(m, ending, time.Time{})
	e.debug(m).Msg("sent")
	return m.flush(ctx)
}

// failed writes the dead letter first. A crash between the two then repeats a
// dead letter, which readers can tell; the other order would lose it.
func (e *Engine) failed(ctx context.Context, m *job) error {
	e.opts.Pending.show(m, ending, time.Time{})
	letter := m.deadLetter(e.opts.Channel)
	if err := m.flush(ctx); err != nil {
		return err
	}
	if err := e.publisher.DLQ(ctx, m.record, letter); err != nil {
		return fmt.Errorf("publish dead letter: %w", err)
	}
	m.publish(ctx, models.StatusEvent{
		EventType: models.EventFailed, Attempt: m.progress.Spent(), ProviderResponse: m.response(true),
		Error: letter.LastError, FailureType: letter.FailureType,
	})
	m.log(e.failures.line(e.opts.Log, zerolog.WarnLevel)).Str("failure_type", string(letter.FailureType)).Str("error", letter.LastError).Msg("failed")
	return m.flush(ctx)
}

// refuse ends a request that does not validate: it was never attempted.
func (e *Engine) refuse(ctx context.Context, rec *models.Record, v *common.Violations) error {
	id, trace, now := cmp.Or(v.MessageID, rec.FallbackID()), cmp.Or(v.TraceID, rec.TraceID()), time.Now().UTC()
	letter := &models.DLQRecord{
		MessageID: id, Channel: e.opts.Channel, OriginalMessage: models.NewOriginal(rec.Value),
		Attempts: 1, FailureType: models.FailureValidation, LastError: v.Error(),
		FirstFailedAt: now, LastAttemptAt: now, TraceID: trace, TenantID: v.TenantID,
	}
	if err := e.publisher.DLQ(ctx, rec, letter); err != nil {
		return fmt.Errorf("publish dead letter: %w", err)
	}
	// A key that stands for the id may be anything, an address too: the log
	// names the record by its position.
	e.failures.line(e.opts.Log, zerolog.WarnLevel).Str("message_id", v.MessageID).Str("source", rec.Position()).
		Func(traced(trace, v.TenantID)).Str("failure_type", string(letter.FailureType)).Str("error", unquoted(letter.LastError)).Msg("failed")
	return e.publisher.Status(ctx, rec, &models.StatusEvent{
		MessageID: id, Channel: e.opts.Channel, EventType: models.EventFailed,
		Error: letter.LastError, TraceID: trace, TenantID: v.TenantID, Timestamp: time.Now().UTC(),
		FailureType: letter.FailureType,
	}).Wait(ctx)
}
