package worker_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// post is a channel whose records read "A 1 2": from A, to 1 and 2.
type post struct {
	script

	answer func(name string) *common.Failure
}

func (p post) Decode(rec *models.Record) (common.Delivery, error) {
	words := strings.Fields(string(rec.Value))
	p.recipients = words[1:]
	p.send = func(context.Context, common.Call) (models.ProviderResponse, error) {
		if f := p.answer(string(rec.Value)); f != nil {
			return fails(f)
		}
		return accepted()
	}
	d, err := p.script.Decode(rec)
	d.Sender = words[0]
	return d, err
}

// A provider that finds us too fast for one sender, or for one pair of sender
// and recipient, keeps their messages waiting and no others, until the end
// of its time.
func TestThrottleOfOneParty(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		name  string
		of    common.ThrottleScope
		after time.Duration // what the provider says, zero for nothing
		want  map[string]time.Duration
	}{
		{"pair", common.ScopePair, 5 * second, map[string]time.Duration{"A 1": 5 * second, "A 1 2": 5 * second, "A 2": 0, "B 1": 0}},
		{"pair, it does not say", common.ScopePair, 0, map[string]time.Duration{"A 1": second, "A 1 2": second, "A 2": 0, "B 1": 0}},
		{"sender", common.ScopeSender, 5 * second, map[string]time.Duration{"A 1": 5 * second, "A 1 2": 5 * second, "A 2": 5 * second, "B 1": 0}},
		{"message", common.ScopeNone, 5 * second, map[string]time.Duration{"A 1": 0, "A 1 2": 0, "A 2": 0, "B 1": 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				start, began := time.Now(), map[string]time.Duration{} // the first call of each message
				b := newBench(post{answer: func(name string) *common.Failure {
					mu.Lock()
					defer mu.Unlock()
					if len(began) == 0 {
						began["first"] = 0
						f := transient()
						f.ThrottleScope, f.RetryAfter = tt.of, tt.after
						return f
					}
					if _, again := began[name]; !again && time.Since(start) < 9*second {
						began[name] = time.Since(start)
					}
					return nil
				}}, 10)
				var wg sync.WaitGroup
				handle := func(text string) {
					wg.Go(func() {
						rec := record()
						rec.Value = []byte(text)
						if err := b.engine.Handle(lifetime.New(t.Context()), rec, message.Progress{}, &lease{}); err != nil {
							t.Errorf("Handle = %v, want nil", err)
						}
					})
					synctest.Wait()
				}
				handle("A 1 ") // is told so; by its own backoff it may come back later
				for name := range tt.want {
					handle(name)
				}
				time.Sleep(8 * second)
				mu.Lock()
				delete(began, "first")
				delete(began, "A 1 ")
				if !maps.Equal(began, tt.want) {
					t.Errorf("calls began after %v, want %v", began, tt.want)
				}
				mu.Unlock()
				wg.Wait()
				if len(b.letters) != 0 {
					t.Errorf("%d dead letters, want none", len(b.letters))
				}
			})
		})
	}
}

// A throttle that the provider gives no time for grows while it is too short, and
// is short again after an acceptance.
func TestThrottleOfAPairGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		b := newBench(post{answer: func(string) *common.Failure {
			at = append(at, time.Since(start))
			if len(at)%4 == 0 {
				return nil
			}
			f := transient()
			f.ThrottleScope = common.ScopePair
			return f
		}}, 1)
		b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{Channel: models.SMS, MaxAttempts: 4, CallTimeout: time.Second})
		rec := record()
		rec.Value = []byte("A 1")
		for range 2 {
			if err := b.engine.Handle(lifetime.New(t.Context()), rec, message.Progress{}, &lease{}); err != nil {
				t.Fatal(err)
			}
		}
		const s = time.Second
		if want := []time.Duration{0, 1 * s, 3 * s, 7 * s, 7 * s, 8 * s, 10 * s, 14 * s}; !slices.Equal(at, want) {
			t.Errorf("calls after %v, want %v", at, want)
		}
	})
}

// Who waits for the end of a throttle ends with the worker, and has called nobody.
func TestStopDuringAThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		b := newBench(post{answer: func(string) *common.Failure {
			calls++
			f := transient()
			f.ThrottleScope, f.RetryAfter = common.ScopePair, 5*time.Minute
			return f
		}}, 1)
		b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{
			Channel: models.SMS, MaxAttempts: 2, CallTimeout: time.Second, RetryAfterMax: time.Hour,
		})
		life := lifetime.New(t.Context())
		rec := record()
		rec.Value = []byte("A 1")
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- b.engine.Handle(life, rec, message.Progress{}, &lease{}) }()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		life.Stop(errStop)
		for range 2 {
			if err := <-ended; err == nil {
				t.Error("Handle = nil though nothing has ended")
			}
		}
		if calls != 1 || b.route.InFlight() != 0 {
			t.Errorf("%d calls, %d slots taken, want 1 and 0", calls, b.route.InFlight())
		}
	})
}

// A provider that found us too fast is not flattened when its time is over: one
// call asks whether it takes more, and then as many go as before, unless it is
// still too fast for them. What hangs from before keeps nobody waiting.
func TestPauseEndsCallByCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, messages = 40, 400
		const takesAgain = 11 * time.Second
		var mu sync.Mutex
		var refused []time.Duration // when calls were found too fast
		start, under, most := time.Now(), 0, 0
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			mu.Lock()
			under++
			hangs := under == 1 && len(refused) == 0
			refuses := time.Since(start) < takesAgain
			most = max(most, under)
			mu.Unlock()
			defer func() { mu.Lock(); under--; mu.Unlock() }()
			if hangs {
				time.Sleep(time.Minute)
				return accepted()
			}
			time.Sleep(10 * time.Millisecond)
			if !refuses {
				return accepted()
			}
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, time.Since(start))
			most = 0
			f := transient()
			f.Throttle, f.RetryAfter = true, 2*time.Second
			return fails(f)
		}}, slots)
		handling(t, b.engine, messages)()
		// 39 at the start, then one each two seconds.
		if n := len(refused); n != slots-1+5 {
			t.Errorf("%d calls were found too fast, at %v, want one after each pause", n, refused)
		}
		if most != slots {
			t.Errorf("at most %d calls were under way again, want %d", most, slots)
		}
	})
}
