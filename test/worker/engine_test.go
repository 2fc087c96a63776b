package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/answer"
	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

func TestSingleRecipient(t *testing.T) {
	t.Parallel()
	one := []string{"+15550001"}
	unreadable := &common.Failure{Class: models.FailureUnknown, Accepted: true, Err: errors.New("http 200 with an unreadable body")}
	always := func(f *common.Failure) func(int) *common.Failure { return func(int) *common.Failure { return f } }
	tests := []struct {
		name    string
		failure func(attempt int) *common.Failure
		want    []string
	}{
		{"delivered at once", always(nil), []string{"queued 0", "attempt 1", "sent 1"}},
		{"delivered at the third try", func(n int) *common.Failure {
			if n < 3 {
				return transient()
			}
			return nil
		}, []string{"queued 0", "attempt 1", "retry 1", "attempt 2", "retry 2", "attempt 3", "sent 3"}},
		{"budget spent", always(transient()), []string{"queued 0", "attempt 1", "retry 1", "attempt 2", "retry 2", "attempt 3", "dlq transient 3", "failed 3"}},
		{"refused", always(common.Permanent(errors.New("http 400"))), []string{"queued 0", "attempt 1", "dlq permanent 1", "failed 1"}},
		{"refused at the second try", func(n int) *common.Failure {
			if n == 1 {
				return transient()
			}
			return common.Permanent(errors.New("http 400"))
		}, []string{"queued 0", "attempt 1", "retry 1", "attempt 2", "dlq permanent 2", "failed 2"}},
		{"cannot be classified", always(common.Unknown(errors.New("?"))), []string{"queued 0", "attempt 1", "retry 1", "attempt 2", "retry 2", "attempt 3", "dlq unknown 3", "failed 3"}},
		{"accepted but unreadable", always(unreadable), []string{"queued 0", "attempt 1", "dlq unknown 1", "failed 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(script{recipients: one, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
					if f := tt.failure(call.Attempt); f != nil {
						return fails(f)
					}
					return accepted()
				}}, 1)
				b.handle(t)
				b.want(t, tt.want...)
			})
		})
	}
}

func TestInvalidRequest(t *testing.T) {
	t.Parallel()
	b := newBench(script{invalid: &common.Violations{TenantID: "acme", List: []string{"to: is required", "from: is required"}}}, 1)
	b.handle(t)
	b.want(t, "dlq validation 1", "failed 0")
	if id := b.events[0].MessageID; id != "requests/2/7" {
		t.Errorf("message id %q, want the record's coordinates", id)
	}
	if got, want := b.letters[0].LastError, "validation error: to: is required; from: is required"; got != want || b.events[0].Error != want {
		t.Errorf("errors %q and %q, want %q", got, b.events[0].Error, want)
	}
}

func TestPanicsEndTheAttemptAndNotTheWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			if call.Attempt == 1 {
				panic("secret +15550001")
			}
			return accepted()
		}}, 1)
		b.handle(t)
		b.want(t, "queued 0", "attempt 1", "retry 1", "attempt 2", "sent 2")
		if e := b.events[2]; !strings.HasPrefix(e.Error, "unknown error: panic") || strings.Contains(e.Error, "secret") {
			t.Errorf("error %q, want a panic without its value", e.Error)
		}
	})
}

// calls remembers which recipients each attempt reached.
type calls struct {
	mu   sync.Mutex
	made []string
}

func (c *calls) note(call common.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, fmt.Sprintf("%d:%v", call.Attempt, call.Recipients))
}

func TestRetryGoesOnlyToTheOpenRecipients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c calls
		b := newBench(script{recipients: []string{"a", "b", "c", "d"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			c.note(call)
			switch {
			case call.Recipients[0] == 1 && call.Attempt == 1:
				return fails(transient())
			case call.Recipients[0] == 2:
				return fails(common.Permanent(errors.New("http 400")))
			}
			return accepted()
		}}, 1)
		b.handle(t)
		b.want(t, "queued 0", "attempt 1", "retry 1", "attempt 2", "dlq permanent 2", "failed 2")
		if got := len(c.made); got != 5 || c.made[4] != "2:[1]" {
			t.Errorf("calls %v, want four and then only the open one", c.made)
		}
		retry, failed := b.events[2], b.events[4]
		if got := retry.ProviderResponse.Meta["open_recipients"]; got != "1" {
			t.Errorf("open_recipients %q, want 1", got)
		}
		if r := failed.ProviderResponse; r.Status != models.StatusPartial || r.Meta["accepted"] != "3" || r.Meta["rejected"] != "1" {
			t.Errorf("response %+v, want partial, 3 accepted, 1 rejected", r)
		}
		if got := b.letters[0].Meta; got["failed_recipients"] != "c" || got["a"] != "b" {
			t.Errorf("dead letter's meta %v, want failed_recipients c beside the request's own", got)
		}
		if failed.Error != "permanent error: http 400" {
			t.Errorf("error %q, want the refusal's", failed.Error)
		}
	})
}

// No call starts before its attempt is acknowledged.
func TestNoCallBeforeItsAttemptIsAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		called := false
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			called = true
			return accepted()
		}}, 1)
		b.held = make(chan struct{})
		done := make(chan error, 1)
		go func() { done <- b.engine.Handle(lifetime.New(t.Context()), record(), message.Progress{}, &lease{}) }()
		time.Sleep(time.Hour) // an outage of Kafka stops progress, and fails nothing
		b.want(t, "queued 0", "attempt 1")
		if called {
			t.Error("a call was made that Kafka does not know of")
		}
		close(b.held)
		if err := <-done; err != nil || !called {
			t.Errorf("Handle = %v, called %v, want nil and a call once Kafka is back", err, called)
		}
	})
}

func TestBackoffHoldsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			if call.Attempt == 1 {
				return fails(later(time.Minute))
			}
			return accepted()
		}}, 1)
		start := time.Now()
		wait := handling(t, b.engine, 50)
		synctest.Wait()
		if n := b.route.InFlight(); n != 0 {
			t.Errorf("%d slots taken while all back off, want 0", n)
		}
		wait()
		if took := time.Since(start); took > 2*time.Minute {
			t.Errorf("fifty messages took %v in a worker of one slot, want the backoff of one", took)
		}
	})
}

func TestRetryAfterIsTheLeastWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		retryAfter time.Duration
		want, most time.Duration
	}{
		{"none", 0, 0, 10 * time.Second},
		{"above the backoff", 5 * time.Minute, 5 * time.Minute, 5 * time.Minute},
		{"above the limit", time.Hour, 10 * time.Minute, 10 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var at []time.Time
				b := newBench(script{recipients: []string{"a"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
					at = append(at, time.Now())
					if call.Attempt == 1 {
						return fails(later(tt.retryAfter))
					}
					return accepted()
				}}, 1)
				b.handle(t)
				wait := at[1].Sub(at[0])
				if wait < tt.want || wait > tt.most {
					t.Errorf("waited %v, want %v to %v", wait, tt.want, tt.most)
				}
				next, err := time.Parse(time.RFC3339Nano, b.events[2].ProviderResponse.Meta["next_attempt_at"])
				if err != nil || next.Sub(at[0]) != wait {
					t.Errorf("next_attempt_at is %v after the call (%v), want %v", next.Sub(at[0]), err, wait)
				}
			})
		})
	}
}

// The hard deadline of a call is the engine's.
func TestCallsHaveADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
			start := time.Now()
			<-ctx.Done()
			if took := time.Since(start); took != 30*time.Second {
				t.Errorf("attempt %d was cut after %v, want 30s", call.Attempt, took)
			}
			resp, f := answer.TimedOut(30 * time.Second)
			return resp, f
		}}, 1)
		b.handle(t)
		if got := b.letters[0].LastError; got != "transient error: timeout after 30s" {
			t.Errorf("last error %q", got)
		}
	})
}

// stopped runs a message, gives the stop signal after a while, and returns
// what Handle came to.
func stopped(t *testing.T, b *bench, after time.Duration, begin func(context.Context) error) error {
	t.Helper()
	life := lifetime.New(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.engine.Handle(life, record(), message.Progress{}, &lease{commit: begin}) }()
	time.Sleep(after)
	life.Stop(nil)
	return <-done
}

func TestStopping(t *testing.T) {
	t.Parallel()
	slow := func(_ context.Context, _ common.Call) (models.ProviderResponse, error) {
		time.Sleep(10 * time.Second)
		return accepted()
	}
	failing := func(context.Context, common.Call) (models.ProviderResponse, error) {
		return fails(later(time.Minute))
	}
	slowFailing := func(ctx context.Context, c common.Call) (models.ProviderResponse, error) {
		time.Sleep(10 * time.Second)
		return failing(ctx, c)
	}
	began := func(context.Context) error { return nil }
	tests := []struct {
		name    string
		send    func(context.Context, common.Call) (models.ProviderResponse, error)
		begin   func(context.Context) error
		after   time.Duration
		wantErr bool
		want    []string
	}{
		{"a call under way ends and counts", slow, nil, time.Second, false, []string{"queued 0", "attempt 1", "sent 1"}},
		{"a call under way that fails is told", slowFailing, nil, time.Second, true, []string{"queued 0", "attempt 1", "retry 1"}},
		{"a message that backs off is left", failing, nil, time.Second, true, []string{"queued 0", "attempt 1", "retry 1"}},
		{"unless nobody would read it again", failing, began, time.Second, false, []string{"queued 0", "attempt 1", "retry 1", "dlq transient 1", "failed 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(script{recipients: []string{"a"}, send: tt.send}, 1)
				if err := stopped(t, b, tt.after, tt.begin); (err != nil) != tt.wantErr {
					t.Errorf("Handle = %v, want an error: %v", err, tt.wantErr)
				}
				b.want(t, tt.want...)
			})
		})
	}
}

// A published attempt without a slot is given back as a retry that is due at
// once, so that nobody takes it for a call under way.
func TestStopBeforeThePublishedCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			t.Error("a call was made")
			return accepted()
		}}, 4)
		release := occupy(t, b.route, 4)
		if err := stopped(t, b, time.Second, nil); err == nil {
			t.Error("Handle = nil, want an error")
		}
		b.want(t, "queued 0", "attempt 1", "retry 1")
		retry := b.events[2]
		if retry.Error != "transient error: worker stopped before the call" || retry.ProviderResponse.Status != models.StatusUnknown || retry.ProviderResponse.Meta[models.MetaNotCalled] != "1" {
			t.Errorf("retry %+v %+v", retry, retry.ProviderResponse)
		}
		release()
	})
}

// The last attempt is taken back too, however long the slots are taken or the
// provider is left alone: a stop is no reason to give a message up.
func TestStopBeforeTheLastCall(t *testing.T) {
	t.Parallel()
	for name, hinder := range map[string]func(*testing.T, *bench) func(){
		"no slot": func(t *testing.T, b *bench) func() { t.Helper(); return occupy(t, b.route, 4) },
		"the provider is left alone": func(_ *testing.T, b *bench) func() {
			time.AfterFunc(time.Millisecond, func() { b.route.Pause(time.Now().Add(time.Hour)) })
			return func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
					t.Error("a call was made")
					return accepted()
				}}, 4)
				b.delay = 10 * time.Millisecond // so that the provider is left alone with the attempt ahead
				b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{Channel: models.SMS, MaxAttempts: 1, CallTimeout: 30 * time.Second})
				release, start := hinder(t, b), time.Now()
				if err := stopped(t, b, time.Second, nil); err == nil {
					t.Error("Handle = nil, want an error")
				}
				if took := time.Since(start); took > 5*time.Second {
					t.Errorf("ended after %v", took)
				}
				b.want(t, "queued 0", "attempt 1", "retry 1")
				release()
			})
		})
	}
}

// A round that a stop takes back in part may have been told a Retry-After:
// whoever goes on keeps to it.
func TestStopKeepsRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name             string
		retryAfter, want time.Duration
	}{
		{"within the limit", 5 * time.Minute, 5 * time.Minute},
		{"above the limit", time.Hour, 10 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var ended time.Time
				b := newBench(script{recipients: []string{"a", "b"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
					time.Sleep(10 * time.Second) // beyond the grace of the other call, which waits for the slot
					f := transient()
					f.RetryAfter, ended = tt.retryAfter, time.Now()
					return fails(f)
				}}, 1)
				if err := stopped(t, b, time.Second, nil); err == nil {
					t.Error("Handle = nil, want an error: the message is unfinished")
				}
				b.want(t, "queued 0", "attempt 1", "retry 1")
				meta := b.events[2].ProviderResponse.Meta
				next, err := time.Parse(time.RFC3339Nano, meta[models.MetaNextAttemptAt])
				if got := next.Sub(ended); err != nil || got != tt.want || meta[models.MetaNotCalled] != "1" {
					t.Errorf("the next attempt is %v after the call (%v), want %v; meta %v", got, err, tt.want, meta)
				}
			})
		})
	}
}

// A Kafka that takes no events does not hold up a stop: no call is under way.
func TestStopWithoutKafka(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}}, 1)
		b.held = make(chan struct{})
		start := time.Now()
		if err := stopped(t, b, time.Second, nil); err == nil {
			t.Error("Handle = nil, want an error")
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

// When calls are cut, nobody knows their outcome: no event claims to.
func TestCallsCutByTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(ctx context.Context, _ common.Call) (models.ProviderResponse, error) {
			<-ctx.Done()
			return fails(transient())
		}}, 1)
		life := lifetime.New(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.engine.Handle(life, record(), message.Progress{}, &lease{}) }()
		time.Sleep(time.Second)
		life.Stop(nil)
		time.Sleep(5 * time.Second)
		life.Cut(nil)
		if err := <-done; err == nil {
			t.Error("Handle = nil, want an error: the message is unfinished")
		}
		b.want(t, "queued 0", "attempt 1")
	})
}

// At most once: the commit comes before the first call, and only once.
func TestBeginComesBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var order []string
		b := newBench(script{recipients: []string{"a"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			order = append(order, fmt.Sprint("call ", call.Attempt))
			if call.Attempt == 1 {
				return fails(transient())
			}
			return accepted()
		}}, 1)
		err := b.engine.Handle(lifetime.New(t.Context()), record(), message.Progress{}, &lease{commit: func(context.Context) error {
			time.Sleep(time.Second)
			order = append(order, "begin")
			return nil
		}})
		if got := strings.Join(order, ", "); err != nil || got != "begin, call 1, call 2" {
			t.Errorf("%s with %v, want begin, call 1, call 2", got, err)
		}
		refused := errors.New("commit refused")
		order = nil
		err = b.engine.Handle(lifetime.New(t.Context()), record(), message.Progress{}, &lease{commit: func(context.Context) error { return refused }})
		if !errors.Is(err, refused) || len(order) > 0 {
			t.Errorf("Handle = %v after %v, want the refusal and no call", err, order)
		}
	})
}

// A provider that finds us too fast is left alone by all, for as long as it
// says, or else for a time that doubles while it is too short.
func TestThrottleHoldsEverybody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		after  time.Duration // what the provider says, zero for nothing
		least  []time.Duration
		others bool // the failure is one recipient's own
	}{
		{"as it says", 2 * time.Second, []time.Duration{2 * time.Second, 2 * time.Second, 2 * time.Second}, false},
		{"it does not say", 0, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, false},
		{"one recipient only", 2 * time.Second, []time.Duration{0, 0, 0}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var at []time.Time
				b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
					mu.Lock()
					defer mu.Unlock()
					at = append(at, time.Now())
					if len(at) > len(tt.least) {
						return accepted()
					}
					f := transient()
					f.Throttle, f.RetryAfter = !tt.others, tt.after
					return fails(f)
				}}, 1)
				handling(t, b.engine, 20)()
				for i, least := range tt.least {
					if pause := at[i+1].Sub(at[i]); pause < least || tt.others && pause > 0 {
						t.Errorf("call %d came %v after the one before it, want %v", i+2, pause, least)
					}
				}
			})
		})
	}
}
