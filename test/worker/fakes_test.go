// Package worker_test drives the engine through its exported door, with fakes
// for channel and Kafka and a bubble for time.
package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// ledger is a Kafka that keeps what it is given. While it is held, nothing is
// acknowledged.
type ledger struct {
	mu      sync.Mutex
	entries []string // events and dead letters, in order
	events  []models.StatusEvent
	letters []models.DLQRecord
	held    chan struct{} // nil: acknowledge at once
	delay   time.Duration // until an acknowledgement
}

func (l *ledger) Status(_ context.Context, _ *models.Record, ev *models.StatusEvent) worker.Ack {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, fmt.Sprintf("%s %d", ev.EventType, ev.Attempt))
	l.events = append(l.events, *ev)
	held, due := l.held, time.Now().Add(l.delay)
	return ack(func(ctx context.Context) error { return l.ack(ctx, held, due) })
}

// ack is an acknowledgement that a function waits for.
type ack func(context.Context) error

func (a ack) Wait(ctx context.Context) error { return a(ctx) }

func (l *ledger) DLQ(ctx context.Context, _ *models.Record, rec *models.DLQRecord) error {
	l.mu.Lock()
	l.entries = append(l.entries, fmt.Sprintf("dlq %s %d", rec.FailureType, rec.Attempts))
	l.letters = append(l.letters, *rec)
	held := l.held
	l.mu.Unlock()
	return l.ack(ctx, held, time.Now())
}

func (l *ledger) ack(ctx context.Context, held chan struct{}, due time.Time) error {
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.entries, ", ")
}

// script is a channel whose calls go as a function says.
type script struct {
	recipients []string
	units      [][]int // nil: one a recipient
	invalid    *common.Violations
	send       func(ctx context.Context, call common.Call) (models.ProviderResponse, error)
}

func (s script) Decode(*models.Record) (common.Delivery, error) {
	if s.invalid != nil {
		return common.Delivery{}, s.invalid
	}
	return common.Delivery{Envelope: s.Envelope(), Sender: "sender", Recipients: s.recipients, Units: s.Units(), Send: s.send}, nil
}

func (s script) Envelope() *models.Envelope {
	return &models.Envelope{MessageID: "m", Channel: models.SMS, TraceID: "t", TenantID: "acme", Meta: map[string]string{"a": "b"}}
}

func (s script) Units() [][]int {
	if s.units != nil {
		return s.units
	}
	var units [][]int
	for i := range s.recipients {
		units = append(units, []int{i})
	}
	return units
}

func accepted() (models.ProviderResponse, error) {
	return models.ProviderResponse{Status: models.StatusOK, Code: 201}, nil
}

func accept(context.Context, common.Call) (models.ProviderResponse, error) { return accepted() }

func fails(f *common.Failure) (models.ProviderResponse, error) {
	return models.ProviderResponse{Status: models.StatusUnavailable, Code: 503}, f
}

func transient() *common.Failure { return common.Transient(errors.New("http 503")) }

// unreachable is a failure on the provider's side.
func unreachable() *common.Failure {
	f := transient()
	f.Unreachable = true
	return f
}

// later is a failure that names the time of the next attempt.
func later(after time.Duration) *common.Failure {
	f := transient()
	f.RetryAfter = after
	return f
}

// notCalled is a call that the provider cannot take at the moment.
func notCalled() *common.Failure {
	f := transient()
	f.NotCalled = true
	return f
}

// bench is one engine with its ledger.
type bench struct {
	*ledger

	channel worker.Channel
	route   *route.Route
	engine  *worker.Engine
}

func newBench(c worker.Channel, concurrency int) *bench {
	b := &bench{ledger: &ledger{}, channel: c, route: route.New(route.Options{Concurrency: concurrency})}
	b.engine = worker.New(c, b.ledger, b.route, worker.Options{
		Channel: models.SMS, MaxAttempts: 3, Backoff: worker.Backoff{Base: 10 * time.Second, Max: time.Minute},
		CallTimeout: 30 * time.Second, RetryAfterMax: 10 * time.Minute,
	})
	return b
}

func record() *models.Record {
	return &models.Record{Topic: "requests", Partition: 2, Offset: 7, Value: []byte(`{"a":1}`)}
}

// lease is a right to a record that nobody disputes, unless a test says so.
type lease struct {
	commit func(context.Context) error // not nil: at most once
	await  func(context.Context) error

	mu      sync.Mutex
	settled []message.Resolved // what was to be kept, in order
	yields  int                // waits that keep nobody from being worked on
}

func (l *lease) AtMostOnce() bool                           { return l.commit != nil }
func (l *lease) CommitBeforeCall(ctx context.Context) error { return l.commit(ctx) }

func (l *lease) Await(ctx context.Context) error {
	if l.await == nil {
		return nil
	}
	return l.await(ctx)
}

func (l *lease) Yield(wait func() error) error {
	l.mu.Lock()
	l.yields++
	l.mu.Unlock()
	return wait()
}

func (l *lease) Checkpoint(s message.Resolved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = append(l.settled, s)
}

// occupy takes slots of the route with calls of others, until they are released.
func occupy(t *testing.T, r *route.Route, slots int) (release func()) {
	t.Helper()
	var taken []route.Call
	for i := range slots {
		a := &route.Attempt{Lease: &lease{}, Delivery: &common.Delivery{Sender: fmt.Sprint("another ", i)}}
		err := r.Admit(t.Context(), a, 1, nil)
		call, startErr := r.Start(t.Context(), a, nil)
		if err = errors.Join(err, startErr); err != nil {
			t.Fatal(err)
		}
		taken = append(taken, call)
	}
	return func() {
		for _, call := range taken {
			r.End(call, route.Outcome{Cut: true})
		}
	}
}

// running runs the breaker of a route until the returned function is called.
func running(t *testing.T, r *route.Route) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { r.Run(ctx) })
	return func() { cancel(); run.Wait() }
}

// handle has an engine take one message to its end without any stop.
func handle(t *testing.T, e *worker.Engine) {
	t.Helper()
	resume(t, e, message.Progress{})
}

// resume is handle for a message that earlier owners have brought so far.
func resume(t *testing.T, e *worker.Engine, progress message.Progress) {
	t.Helper()
	if err := e.Handle(lifetime.New(t.Context()), record(), progress, &lease{}); err != nil {
		t.Errorf("Handle = %v, want nil", err)
	}
}

// begun runs a route's breaker and has an engine take messages until stop ends
// all of it; wait waits for the messages.
func begun(t *testing.T, r *route.Route, e *worker.Engine, messages int) (wait, stop func()) {
	t.Helper()
	end := running(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range messages {
		wg.Go(func() { _ = e.Handle(lifetime.New(ctx), record(), message.Progress{}, &lease{}) })
	}
	return wg.Wait, func() { cancel(); wg.Wait(); end() }
}

// handling is handle for many messages at once, which wait waits for.
func handling(t *testing.T, e *worker.Engine, messages int) (wait func()) {
	t.Helper()
	var wg sync.WaitGroup
	for range messages {
		wg.Go(func() { handle(t, e) })
	}
	return wg.Wait
}

// handle is that of the engine, and leaves no slot taken.
func (b *bench) handle(t *testing.T) {
	t.Helper()
	handle(t, b.engine)
	if n := b.route.InFlight(); n != 0 {
		t.Errorf("%d slots taken at the end, want 0", n)
	}
}

func (b *bench) want(t *testing.T, entries ...string) {
	t.Helper()
	if got, want := b.String(), strings.Join(entries, ", "); got != want {
		t.Errorf("ledger: %s\nwant:   %s", got, want)
	}
}

// sorted returns the calls of one round in the order of their recipients.
func sorted(made []string) []string {
	out := slices.Clone(made)
	slices.Sort(out)
	return out
}
