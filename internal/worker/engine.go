// Package worker takes one message through its life: decoded, attempted,
// repeated, and ended with an outcome that is durable in Kafka. It knows no
// channel, no provider and no Kafka client.
package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/worker/route"
)

// Channel turns request records into deliveries. It is all the engine knows
// of email, SMS and WhatsApp.
type Channel interface {
	// Decode reads and checks a request. Its only error is
	// *common.Violations.
	Decode(rec *models.Record) (common.Delivery, error)
}

// Options of an Engine. All but Log and what may be nil are required.
type Options struct {
	Channel     models.Channel
	Lane        models.Lane // by which its messages came
	Provider    string      // that is called, as orders name it
	MaxAttempts int         // the first included
	Backoff     Backoff
	CallTimeout time.Duration // hard limit of one provider call
	// AmbiguousToDLQ repeats no call that may have been accepted, be it cut by
	// a crash or by its time limit: for senders to whom a second copy is worse
	// than none.
	AmbiguousToDLQ bool

	RetryAfterMax time.Duration // how much of a provider's Retry-After is honoured
	MaxAge        time.Duration // how old a request may be at an attempt; zero for no limit
	Orders        *orders.Board // what operators want of messages; nil for nobody who would say
	Pending       *Pending      // lists what is at work; nil for nobody who would look
	Log           zerolog.Logger
}

// Engine is the life of messages. It is safe for concurrent use and holds no
// state between messages but its route's.
type Engine struct {
	channel   Channel
	publisher Publisher
	route     *route.Route
	failures  failureLog
	panics    failureLog
	waiting   atomic.Int64 // messages that back off
	opts      Options
}

// New makes an engine of its parts.
func New(channel Channel, publisher Publisher, r *route.Route, opts Options) *Engine {
	return &Engine{channel: channel, publisher: publisher, route: r, opts: opts}
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
	if stopped := life.Waiting(); stopped.Err() != nil && !passed(stopped, lease) {
		return context.Cause(stopped)
	}
	delivery, violations := e.decode(rec)
	if violations != nil {
		return e.refuse(life.Calls(), rec, violations)
	}
	m := newJob(rec, delivery, progress, e.publisher, lease)
	e.opts.Pending.add(e.opts.Lane, m)
	defer e.opts.Pending.remove(m)
	e.watch(m)
	defer m.orders.End()
	// Queued goes out before the first attempt, so that a crash in between
	// leaves a trace. Kafka keeps the order, so nobody waits for it yet.
	if !m.progress.Queued() {
		m.publish(life.Waiting(), models.StatusEvent{EventType: models.EventQueued})
	}
	again, err := e.resume(life, m)
	for again && err == nil {
		again, err = e.round(life, m)
	}
	return e.end(life, m, err)
}

// resume waits for what is left of an earlier owner's back-off. It reports false
// where no further attempt may be made: only the final events are missing.
//
// An attempt without an outcome was under way: it counts as spent and may have
// been accepted. So a request that kills its worker comes to an end too.
func (e *Engine) resume(life *lifetime.Lifetime, m *job) (again bool, err error) {
	p := &m.progress
	switch {
	case !p.Attempted():
		return true, nil
	case !e.undecided(m), p.UnderWay() && e.opts.AmbiguousToDLQ:
		return false, nil
	case p.UnderWay():
		return true, nil
	}
	return true, e.waitUntil(life.Waiting(), m, p.NextAt())
}

// round makes one attempt. Where another one has to follow it reports true, after
// the back-off.
func (e *Engine) round(life *lifetime.Lifetime, m *job) (again bool, err error) {
	if err := e.attempt(life, m); err != nil || !e.undecided(m) {
		return false, err
	}
	return true, e.backOff(life.Waiting(), m)
}

// undecided reports whether somebody is to be called again. A round that was
// not made, or not in whole, spends no attempt.
func (e *Engine) undecided(m *job) bool {
	return m.progress.IsOpen() && (m.progress.Spent() < e.opts.MaxAttempts || m.last.notCalled)
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

// backOff publishes the retry and waits until the next attempt is due. The
// wait holds no slot and no other message. A retry that would come too late is
// none: then the error is errExpired.
func (e *Engine) backOff(ctx context.Context, m *job) error {
	wait := m.last.retryAfter
	if !m.last.notCalled { // a call that was not made needs no back-off
		wait = max(wait, e.opts.Backoff.Wait(m.progress.Spent()))
	}
	next := time.Now().Add(wait)
	if e.tooOld(m, next) {
		return errExpired
	}
	m.retry(ctx, next)
	e.debug(m).Str("error", m.failureText()).Dur("wait", wait).Msg("retry")
	return e.waitUntil(ctx, m, next)
}

// waitUntil waits until the next attempt is due, or the message is canceled.
func (e *Engine) waitUntil(ctx context.Context, m *job, next time.Time) error {
	ctx, cancel := m.orders.Uncanceled(ctx)
	defer cancel()
	e.waiting.Add(1)
	defer e.waiting.Add(-1)
	e.opts.Pending.show(m, backingOff, next)
	return m.lease.Yield(func() error { return lifetime.Sleep(ctx, time.Until(next)) })
}

// errExpired ends a message that got too old before its next attempt.
var errExpired = errors.New("message expired")

// tooOld reports whether the request may not be attempted any more at a time.
func (e *Engine) tooOld(m *job, at time.Time) bool {
	return e.opts.MaxAge > 0 && !at.Before(m.delivery.Envelope.CreatedAt.Add(e.opts.MaxAge))
}

// untilExpiry returns a context that ends with errExpired when the message
// gets too old.
func (e *Engine) untilExpiry(ctx context.Context, m *job) (context.Context, context.CancelFunc) {
	if e.opts.MaxAge <= 0 {
		return ctx, func() {}
	}
	return context.WithDeadlineCause(ctx, m.delivery.Envelope.CreatedAt.Add(e.opts.MaxAge), errExpired)
}

// Backoff is the schedule of attempts: exponential with full jitter. Base
// must not be above Max.
type Backoff struct {
	Base, Max time.Duration
}

// Ceiling returns the longest wait after failed attempt n, from 1:
// min(Max, Base·2^(n-1)).
func (b Backoff) Ceiling(n int) time.Duration {
	d := min(b.Base, b.Max)
	for ; n > 1 && d < b.Max; n-- {
		d += min(d, b.Max-d)
	}
	return d
}

// Wait draws the wait after failed attempt n: uniform in [0, Ceiling(n)].
func (b Backoff) Wait(n int) time.Duration {
	return time.Duration(rand.Int64N(int64(b.Ceiling(n)) + 1))
}
