// Package worker takes one message through its life: decoded, attempted,
// repeated, and ended with an outcome that is durable in Kafka. It knows no
// channel, no provider and no Kafka client.
package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// Ack is the promise that an event will be in Kafka. Wait returns nil once it is,
// or the cause of ctx's end. Any number may wait. It is an alias, so that a
// publisher need not import this package to return it.
type Ack = interface {
	Wait(ctx context.Context) error
}

// Publisher writes what happened. It tries until its context or itself ends,
// so an error from it means only that the worker is stopping or the partition
// is gone.
type Publisher interface {
	// Status hands ev over without waiting and keeps the order of the calls
	// for one message. Ctx tells which span the event belongs to; its end
	// changes nothing.
	Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) Ack

	// DLQ returns once the dead letter is acknowledged.
	DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error
}

// Lease is the right to handle one record. It is safe for concurrent use.
type Lease interface {
	route.Lease

	// AtMostOnce reports that nobody will read the record again once
	// CommitBeforeCall has returned nil, so that being stopped is an outcome
	// too.
	AtMostOnce() bool

	// CommitBeforeCall returns nil when the first provider call may be made:
	// nobody will read the record again. It is called only where AtMostOnce.
	// Once ctx has ended it commits nothing more, and its answer is final:
	// after an error the record will be read again, and no call may be made.
	CommitBeforeCall(ctx context.Context) error

	// Checkpoint stores which recipients are resolved while other calls of
	// their round are still under way, so that a crash does not call them
	// again. Each call replaces what the last one stored. It does not block.
	Checkpoint(s message.Resolved)
}

// Options of an Engine. All but Log are required.
type Options struct {
	Channel     models.Channel
	MaxAttempts int // the first included
	Backoff     Backoff
	CallTimeout time.Duration // hard limit of one provider call
	// AmbiguousToDLQ repeats no call that may have been accepted, be it cut by
	// a crash or by its time limit: for senders to whom a second copy is worse
	// than none.
	AmbiguousToDLQ bool

	RetryAfterMax time.Duration // how much of a provider's Retry-After is honoured
	MaxAge        time.Duration // how old a request may be at an attempt; zero for no limit
	Pending       *Pending      // lists what is at work; nil for nobody who would look
	Log           zerolog.Logger
}

// Engine is the life of messages. It is safe for concurrent use and holds no
// state between messages but its route's.
type Engine struct {
	channel   Channel
	publisher Publisher
	route     *route.Route
	failures  *failureLog
	panics    *failureLog
	waiting   atomic.Int64 // messages that back off
	opts      Options
}

// New makes an engine of its parts.
func New(channel Channel, publisher Publisher, r *route.Route, opts Options) *Engine {
	return &Engine{channel: channel, publisher: publisher, route: r, failures: &failureLog{}, panics: &failureLog{}, opts: opts}
}

// BackingOff returns how many messages wait for their next attempt.
func (e *Engine) BackingOff() int { return int(e.waiting.Load()) }

// grace is how long a message goes on after the stop signal when its attempt
// is published and its call is not made yet. Making the call then is cheaper
// than the doubt whether it was made.
const grace = time.Second

// Handle takes one record to its final outcome and publishes that outcome.
//
// A nil error means the outcome is durable and the offset may be committed,
// whether or not the message was sent. An error means that life has ended: a
// stop ends the waits of the message, a cut also the provider calls under way.
// Progress is how far earlier owners of the partition got with the record: the
// message goes on from there and repeats no event.
func (e *Engine) Handle(life *lifetime.Lifetime, rec *models.Record, progress message.Progress, lease Lease) error {
	ctx, calls := life.Waiting(), life.Calls()
	if ctx.Err() != nil && !passed(ctx, lease) {
		return context.Cause(ctx)
	}
	delivery, violations := e.decode(rec)
	if violations != nil {
		return e.refuse(calls, rec, violations)
	}
	m := newMessage(rec, delivery, e.publisher, lease)
	m.view = e.opts.Pending.add(m)
	defer e.opts.Pending.remove(m.view)
	// Queued goes out before the first attempt, so that a crash in between
	// leaves a trace. Kafka keeps the order, so nobody waits for it yet.
	if !progress.Queued {
		m.publish(ctx, models.EventQueued, nil, "")
	}
	if ended, err := e.resume(life, m, progress); ended || err != nil {
		return err
	}
	for {
		err := e.attempt(life, m)
		switch {
		case errors.Is(err, errExpired):
			return e.expired(calls, m)
		case err != nil && m.begun && calls.Err() == nil:
			return e.giveUp(calls, m)
		case err != nil:
			return err
		case m.delivered():
			return e.sent(calls, m)
		case !m.open(), m.attempt >= e.opts.MaxAttempts && !m.notStarted:
			return e.failed(calls, m)
		}
		err = e.backOff(ctx, m)
		if errors.Is(err, errExpired) {
			return e.expired(calls, m)
		}
		if err != nil {
			if m.begun && calls.Err() == nil {
				return e.giveUp(calls, m)
			}
			return errors.Join(err, m.flushOnStop(calls))
		}
	}
}

// decode returns a delivery or what is wrong with the record.
func (e *Engine) decode(rec *models.Record) (d common.Delivery, v *common.Violations) {
	defer func() {
		if r := recover(); r != nil {
			e.logPanic(r, "decode", rec)
			v = &common.Violations{List: []string{"record: the decoder failed on it"}}
		}
	}()
	d, err := e.channel.Decode(rec)
	if err == nil {
		return d, nil
	}
	if v, ok := errors.AsType[*common.Violations](err); ok {
		return d, v
	}
	return d, &common.Violations{List: []string{"record: " + err.Error()}}
}

// refuse ends a request that does not validate: it was never attempted.
func (e *Engine) refuse(ctx context.Context, rec *models.Record, v *common.Violations) error {
	id, trace, now := v.MessageID, v.TraceID, time.Now().UTC()
	if id == "" {
		id = rec.FallbackID()
	}
	if trace == "" {
		trace = rec.TraceID()
	}
	letter := &models.DLQRecord{
		MessageID: id, Channel: e.opts.Channel, OriginalMessage: models.NewOriginal(rec.Value),
		Attempts: 1, FailureType: models.FailureValidation, LastError: v.Error(),
		FirstFailedAt: now, LastAttemptAt: now, TraceID: trace, TenantID: v.TenantID,
	}
	if err := e.publisher.DLQ(ctx, rec, letter); err != nil {
		return fmt.Errorf("publish dead letter: %w", err)
	}
	// A key that stands for the id may be anything, an address too: the log
	// names the record by its place.
	e.failures.line(e.opts.Log, zerolog.WarnLevel).Str("message_id", v.MessageID).Str("source", rec.Position()).
		Func(traced(trace, v.TenantID)).Str("failure_type", string(letter.FailureType)).Str("error", unquoted(letter.LastError)).Msg("failed")
	return e.publisher.Status(ctx, rec, &models.StatusEvent{
		MessageID: id, Channel: e.opts.Channel, EventType: models.EventFailed,
		Error: letter.LastError, TraceID: trace, TenantID: v.TenantID, Timestamp: time.Now().UTC(),
		FailureType: letter.FailureType,
	}).Wait(ctx)
}

// backOff publishes the retry and waits until the next attempt is due. The
// wait holds no slot and no other message. A retry that would come too late is
// none: then the error is errExpired.
func (e *Engine) backOff(ctx context.Context, m *job) error {
	wait := m.retryAfter
	if !m.notStarted { // who was not called has nothing to back off from
		wait = max(wait, e.opts.Backoff.Wait(m.attempt))
	}
	next := time.Now().Add(wait)
	if e.tooOld(m, next) {
		return errExpired
	}
	m.retry(ctx, next)
	e.debug(m).Str("error", m.failureText()).Dur("wait", wait).Msg("retry")
	return e.waitAside(ctx, m, next)
}

// waitAside waits until the next attempt is due.
func (e *Engine) waitAside(ctx context.Context, m *job, next time.Time) error {
	e.waiting.Add(1)
	defer e.waiting.Add(-1)
	m.showStage(backingOff, next)
	return m.lease.Yield(func() error { return sleep(ctx, time.Until(next)) })
}

// errExpired ends a message that got too old before its next attempt.
var errExpired = errors.New("message expired")

// tooOld reports whether the request may not be attempted any more at a time.
func (e *Engine) tooOld(m *job, at time.Time) bool {
	return e.opts.MaxAge > 0 && !at.Before(m.envelope.CreatedAt.Add(e.opts.MaxAge))
}

// untilExpiry returns a context that ends with errExpired when the message
// gets too old.
func (e *Engine) untilExpiry(ctx context.Context, m *job) (context.Context, context.CancelFunc) {
	if e.opts.MaxAge <= 0 {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, m.envelope.CreatedAt.Add(e.opts.MaxAge), errExpired)
}

func (e *Engine) expired(ctx context.Context, m *job) error {
	m.expire()
	return e.failed(ctx, m)
}

func (e *Engine) sent(ctx context.Context, m *job) error {
	m.publish(ctx, models.EventSent, m.response(), "")
	m.showStage(ending, time.Time{})
	e.debug(m).Msg("sent")
	return m.flush(ctx)
}

// failed writes the dead letter first. A crash between the two then repeats a
// dead letter, which readers can tell; the other order would lose it.
func (e *Engine) failed(ctx context.Context, m *job) error {
	m.showStage(ending, time.Time{})
	letter := m.deadLetter(e.opts.Channel)
	if err := m.flush(ctx); err != nil {
		return err
	}
	if err := e.publisher.DLQ(ctx, m.record, letter); err != nil {
		return fmt.Errorf("publish dead letter: %w", err)
	}
	m.givenUp = letter.FailureType
	m.publish(ctx, models.EventFailed, m.response(), letter.LastError)
	m.log(e.failures.line(e.opts.Log, zerolog.WarnLevel)).Str("failure_type", string(letter.FailureType)).Str("error", letter.LastError).Msg("failed")
	return m.flush(ctx)
}

// sleep waits for d, or returns the cause of ctx's end.
func sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
