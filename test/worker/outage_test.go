package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// provider is one whose outage a test sets. It is used in a bubble.
type provider struct {
	downUntil time.Time
	hangs     bool          // instead of refusing
	latency   time.Duration // of a call that succeeds

	mu     sync.Mutex
	calls  []time.Time // that were started
	sent   []time.Time // that succeeded
	under  int
	most   map[int]int // the most calls under way, by how many had succeeded since the outage
	probes int
}

func (p *provider) answer(ctx context.Context) error {
	if time.Now().Before(p.downUntil) {
		if p.hangs {
			<-ctx.Done()
		}
		return unreachable()
	}
	select {
	case <-time.After(p.latency):
		return nil
	case <-ctx.Done():
		return unreachable()
	}
}

func (p *provider) send(ctx context.Context, _ common.Call) (models.ProviderResponse, error) {
	p.mu.Lock()
	p.calls = append(p.calls, time.Now())
	fresh := time.Now().After(p.downUntil) // one from before may still hang
	if fresh {
		p.under++
		p.most[len(p.sent)] = max(p.most[len(p.sent)], p.under)
	}
	p.mu.Unlock()
	err := p.answer(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if fresh {
		p.under--
	}
	if err == nil {
		p.sent = append(p.sent, time.Now())
		return accepted()
	}
	return models.ProviderResponse{Status: models.StatusUnavailable}, err
}

func (p *provider) probe(ctx context.Context) error {
	p.mu.Lock()
	p.probes++
	p.mu.Unlock()
	return p.answer(ctx)
}

// outage runs messages that come every so often through a worker with a
// breaker, and returns its ledger.
func outage(t *testing.T, p *provider, messages int, every time.Duration, failures int) *ledger {
	t.Helper()
	const concurrency = 16
	p.most = map[int]int{}
	l := &ledger{}
	r := route.New(route.Options{Concurrency: concurrency, Breaker: route.Breaker{
		Failures: failures, OpenFor: 5 * time.Second, CallTimeout: 30 * time.Second, Probe: p.probe,
	}})
	o := worker.Options{Channel: models.SMS, MaxAttempts: 3}
	o.Backoff = worker.Backoff{Base: 10 * time.Second, Max: 2 * time.Minute}
	o.CallTimeout, o.RetryAfterMax = 30*time.Second, 10*time.Minute
	e := worker.New(script{recipients: []string{"a"}, send: p.send}, l, r, o)
	stop := running(t, r)
	var wg sync.WaitGroup
	for range messages {
		wg.Go(func() { handle(t, e) })
		time.Sleep(every)
	}
	wg.Wait()
	if s, _, reason := r.Breaker(); s == route.Closed && reason != "" {
		t.Errorf("closed, and the reason is %q", reason)
	}
	stop()
	return l
}

// With the default attempts an outage of a minute costs time and no message,
// whatever way the provider fails and however much comes.
func TestOutageCostsNoMessage(t *testing.T) {
	t.Parallel()
	for _, hangs := range []bool{false, true} {
		for name, every := range map[string]time.Duration{"busy": 10 * time.Millisecond, "one every five seconds": 5 * time.Second} {
			t.Run(fmt.Sprintf("%s, hangs %v", name, hangs), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := &provider{downUntil: time.Now().Add(time.Minute), hangs: hangs, latency: 50 * time.Millisecond}
					messages := int(80 * time.Second / every)
					l := outage(t, p, messages, every, 5)
					if len(l.letters) != 0 || len(p.sent) != messages {
						t.Errorf("%d of %d sent, %d dead letters", len(p.sent), messages, len(l.letters))
					}
					if first := p.sent[0].Sub(p.downUntil); first > 7*time.Second {
						t.Errorf("the first delivery came %v after the provider's return, want at most 7s", first)
					}
					// A call alone, then two, four, eight: a provider that comes
					// back is not flattened.
					for sent, most := range map[int]int{0: 1, 1: 2, 2: 4, 3: 8} {
						if p.most[sent] > most {
							t.Errorf("after %d successes %d calls were under way, want at most %d", sent, p.most[sent], most)
						}
					}
				})
			})
		}
	}
}

// Whenever a provider that hangs comes back, that is noticed as soon: what it
// has not answered by then it never will.
func TestReturnOfAHangingProvider(t *testing.T) {
	t.Parallel()
	for after := 40 * time.Second; after < 80*time.Second; after += 1500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			p := &provider{downUntil: time.Now().Add(after), hangs: true, latency: 50 * time.Millisecond}
			l := outage(t, p, 80, time.Second, 5)
			if first := p.sent[0].Sub(p.downUntil); first > 7*time.Second || len(l.letters) != 0 {
				t.Errorf("back after %v: the first delivery came %v later, want at most 7s; %d dead letters", after, first, len(l.letters))
			}
		})
	}
}

// A provider that is slow is given the time of a call, also where probes are
// made more often than that.
func TestProbeOfASlowProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{downUntil: time.Now().Add(time.Minute), hangs: true, latency: 25 * time.Second}
		outage(t, p, 20, 5*time.Second, 5)
		if first := p.sent[0].Sub(p.downUntil); first > 70*time.Second {
			t.Errorf("the first delivery came %v after the provider's return", first)
		}
	})
}

// A probe that is slow to give way does not keep the channel paused when the
// provider is back. The breaker's own end waits for it.
func TestSlowProbeHoldsUpNothingButTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		down := func() bool { return time.Since(start) < 3*time.Second }
		r := route.New(route.Options{Concurrency: 8, Breaker: route.Breaker{
			Failures: 1, OpenFor: 5 * time.Second, CallTimeout: time.Minute,
			Probe: func(ctx context.Context) error {
				if down() {
					<-ctx.Done()
					time.Sleep(10 * time.Second)
				}
				return ctx.Err()
			},
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan time.Duration, 1)
		go func() {
			r.Run(ctx)
			ended <- time.Since(start)
		}()
		e := worker.New(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			if down() {
				return fails(unreachable())
			}
			return accepted()
		}}, &ledger{}, r, worker.Options{Channel: models.SMS, MaxAttempts: 3, CallTimeout: time.Minute})
		handle(t, e)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("sent after %v, want with the second probe after 5s", took)
		}
		stop()
		if after := <-ended; after != 15*time.Second {
			t.Errorf("the breaker ended after %v, want with its first probe after 15s", after)
		}
	})
}

// Without a breaker the same outage costs messages: what the test above shows
// is the breaker's.
func TestOutageWithoutBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{downUntil: time.Now().Add(time.Minute), latency: 50 * time.Millisecond}
		if l := outage(t, p, 1000, 60*time.Millisecond, 0); len(l.letters) < 100 {
			t.Errorf("%d dead letters of 1000 messages, want hundreds", len(l.letters))
		}
	})
}

// While the breaker is open nothing is attempted; a failure while few calls
// are let in opens it again, and the next probe comes after the open time.
func TestBreakerOpensAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var calls []time.Duration
		var mu sync.Mutex
		var states []string
		r := route.New(route.Options{Concurrency: 8, Breaker: route.Breaker{
			Failures: 2, OpenFor: 5 * time.Second, CallTimeout: time.Second,
			Probe:    func(context.Context) error { return nil }, // it answers, and takes no message
			OnChange: func(s route.BreakerState, reason string) { states = append(states, s.String()+" "+reason) },
		}})
		defer running(t, r)()
		e := worker.New(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, time.Since(start))
			if len(calls) > 4 {
				return accepted()
			}
			return fails(unreachable())
		}}, &ledger{}, r, worker.Options{Channel: models.SMS, MaxAttempts: 100, Backoff: worker.Backoff{}, CallTimeout: time.Second})
		handle(t, e)
		// Two failures open it; the probe at once lets one call in, whose
		// failure opens it for five seconds; so does the next one's.
		want := []time.Duration{0, 0, 0, 5 * time.Second, 10 * time.Second}
		for i, at := range want {
			if i >= len(calls) || calls[i] != at {
				t.Fatalf("calls at %v, want %v", calls, want)
			}
		}
		if len(states) < 6 || states[0] != "open http 503" || states[1] != "half open http 503" {
			t.Errorf("states %q", states)
		}
	})
}

// A single failure opens the breaker where it leaves its message one attempt,
// and not where the message ends with it.
func TestOneFailureOpensTheBreakerForOneAttempt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		ambiguous   bool
		doubtful    []int // of recipients 0 and 1; nil: both
		toDLQ       bool
		maxAttempts int
		want        route.BreakerState
	}{
		{"one attempt is left", false, nil, true, 2, route.Open},
		{"two are left", false, nil, true, 3, route.Closed},
		{"in doubt, and repeated", true, nil, false, 2, route.Open},
		{"in doubt, and given up", true, nil, true, 2, route.Closed},
		{"one in doubt and given up, one repeated", true, []int{0}, true, 2, route.Open},
		{"each in doubt and given up", true, []int{0, 1}, true, 2, route.Closed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := route.New(route.Options{Concurrency: 8, Breaker: route.Breaker{
					Failures: 5, OpenFor: 5 * time.Second, CallTimeout: time.Second,
					Probe: func(context.Context) error { return nil },
				}})
				e := worker.New(script{recipients: []string{"a", "b"}, units: [][]int{{0, 1}}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
					f := transient()
					f.Unreachable, f.Ambiguous, f.Doubtful, f.RetryAfter = true, tt.ambiguous, tt.doubtful, time.Hour
					if tt.doubtful != nil {
						f.Open = []int{0, 1}
					}
					return fails(f)
				}}, &ledger{}, r, worker.Options{
					Channel: models.SMS, MaxAttempts: tt.maxAttempts, RetryAfterMax: time.Hour, CallTimeout: time.Second, AmbiguousToDLQ: tt.toDLQ,
				})
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() { _ = e.Handle(lifetime.New(ctx), record(), message.Progress{}, &lease{}) })
				synctest.Wait() // it backs off, or has ended
				if s, _, _ := r.Breaker(); s != tt.want {
					t.Errorf("the breaker is %v, want %v", s, tt.want)
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// A channel without traffic closes its breaker by probes alone, and opens it
// again when one fails.
func TestBreakerWithoutTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var states []string
		r := route.New(route.Options{Concurrency: 8, Breaker: route.Breaker{
			Failures: 1, OpenFor: 5 * time.Second, CallTimeout: time.Second,
			Probe: func(context.Context) error {
				if time.Since(start) == 15*time.Second {
					return errors.New("http 503")
				}
				return nil
			},
			OnChange: func(s route.BreakerState, _ string) {
				states = append(states, fmt.Sprint(time.Since(start), " ", s))
			},
		}})
		e := worker.New(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			f := transient()
			f.Unreachable = true
			f.RetryAfter = time.Hour // the jitter of a backoff may be short
			return fails(f)
		}}, &ledger{}, r, worker.Options{Channel: models.SMS, MaxAttempts: 2, RetryAfterMax: time.Hour, CallTimeout: time.Second})
		_, stop := begun(t, r, e, 1)
		defer stop()
		time.Sleep(time.Minute)
		r.Breaker() // after the last OnChange, for the race detector
		want := []string{"0s open", "0s half open", "15s open", "20s half open", "35s closed"}
		if !slices.Equal(states, want) {
			t.Errorf("states %q, want %q", states, want)
		}
	})
}

// A call that began before the outage says nothing about the provider's
// return.
func TestStaleFailureOpensNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.New(route.Options{Concurrency: 8, Breaker: route.Breaker{
			Failures: 1, OpenFor: 5 * time.Second, CallTimeout: time.Second, Probe: func(context.Context) error { return nil },
		}})
		defer running(t, r)()
		first := true
		slow := script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			if first {
				first = false
				time.Sleep(2 * time.Second)
				return fails(unreachable())
			}
			return accepted()
		}}
		calls := 0
		quick := script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			calls++
			if calls == 1 {
				return fails(unreachable())
			}
			return accepted()
		}}
		o := worker.Options{Channel: models.SMS, MaxAttempts: 10, CallTimeout: time.Minute}
		var wg sync.WaitGroup
		for _, s := range []script{slow, quick} {
			e := worker.New(s, &ledger{}, r, o)
			wg.Go(func() { handle(t, e) })
			synctest.Wait()
		}
		wg.Wait()
		if s, since, _ := r.Breaker(); s != route.HalfOpen || time.Since(since) < time.Second {
			t.Errorf("%v since %v, want half open since before the slow call ended", s, time.Since(since))
		}
	})
}

// A message gets too old while the breaker is open, while it backs off, or
// before it is looked at: it ends when that is known, and not later.
func TestExpiry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		age     time.Duration // when it is read
		down    bool
		entries string
		after   time.Duration
	}{
		{"before it is read", 2 * time.Minute, false, "queued 0, dlq permanent 1, failed 0", 0},
		{"young enough", 59 * time.Second, false, "queued 0, attempt 1, sent 1", 0},
		{"while the provider is away", 50 * time.Second, true, "queued 0, dlq permanent 1, failed 0", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				b := newBench(aged{script{recipients: []string{"a"}, send: accept}, start.Add(-tt.age)}, 1)
				b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{Channel: models.SMS, MaxAttempts: 3, MaxAge: time.Minute, CallTimeout: time.Second})
				if tt.down {
					b.route.Pause(time.Now().Add(time.Hour))
				}
				b.handle(t)
				b.want(t, tt.entries)
				if took := time.Since(start); took != tt.after {
					t.Errorf("ended after %v, want %v", took, tt.after)
				}
				if len(b.letters) > 0 && b.letters[0].LastError != "permanent error: message expired" {
					t.Errorf("last error %q", b.letters[0].LastError)
				}
			})
		})
	}
}

// A retry that could only come too late is none.
func TestRetryBeyondExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := newBench(aged{script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			return fails(later(2 * time.Minute))
		}}, start}, 1)
		b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{
			Channel: models.SMS, MaxAttempts: 3, MaxAge: time.Minute, CallTimeout: time.Second, RetryAfterMax: time.Hour,
		})
		b.handle(t)
		b.want(t, "queued 0", "attempt 1", "dlq permanent 1", "failed 1")
		if took := time.Since(start); took != 0 {
			t.Errorf("ended after %v, want at once", took)
		}
	})
}

// An attempt that was published before the provider was paused, and whose
// message expires there, called nobody: it does not count.
func TestExpiryBeforeThePublishedCall(t *testing.T) {
	t.Parallel()
	const delay = 10 * time.Millisecond // of acknowledgements: a pause finds the attempt published
	fail := func() (models.ProviderResponse, error) { return fails(transient()) }
	tests := []struct {
		name       string
		recipients []string
		pause      time.Duration // when calls are kept from starting; zero for never
		takes      time.Duration // the first call
		answer     func() (models.ProviderResponse, error)
		entries    string
		last       time.Duration // when the last attempt ended
	}{
		{"the first", []string{"a"}, delay / 2, 0, fail, "queued 0, attempt 1, dlq permanent 1, failed 0", time.Minute},
		{"the second", []string{"a"}, time.Second + delay + delay/2, time.Second, fail, "queued 0, attempt 1, retry 1, attempt 2, dlq permanent 1, failed 1", time.Second + delay},
		{"one of two was called", []string{"a", "b"}, 0, time.Hour, accepted, "queued 0, attempt 1, dlq permanent 1, failed 1", time.Hour + delay},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				b := newBench(aged{script{recipients: tt.recipients, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
					time.Sleep(tt.takes)
					return tt.answer()
				}}, start}, 1)
				b.delay = delay
				b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{Channel: models.SMS, MaxAttempts: 3, MaxAge: time.Minute, CallTimeout: 2 * time.Hour})
				if tt.pause > 0 {
					time.AfterFunc(tt.pause, func() { b.route.Pause(time.Now().Add(time.Hour)) })
				}
				b.handle(t)
				b.want(t, tt.entries)
				if got := b.letters[0].LastAttemptAt.Sub(start); got != tt.last {
					t.Errorf("last attempt after %v, want %v", got, tt.last)
				}
				if got := b.letters[0].LastError; got != "permanent error: message expired" {
					t.Errorf("last error %q", got)
				}
			})
		})
	}
}

// aged is a channel whose requests were made at a time.
type aged struct {
	script

	created time.Time
}

func (a aged) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := a.script.Decode(rec)
	d.Envelope.CreatedAt = a.created
	return d, err
}

var errStop = errors.New("stop")

// Rates bound how many calls start: in the process, and of each sender, whom
// another one's does not slow down.
func TestRates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		rates   route.Rates
		share   float64
		senders int
		want    int // calls within ten seconds
	}{
		{"none", route.Rates{}, 0, 1, 240},
		{"process", route.Rates{Provider: 10}, 0, 2, 110},
		{"sender", route.Rates{Sender: 10}, 0, 2, 220},
		{"group, all of it", route.Rates{Group: 10}, 1, 1, 100},
		{"group, a part", route.Rates{Group: 10}, 0.3, 1, 30},
		{"group, nothing yet", route.Rates{Group: 10}, 0, 1, 0},
		{"the least wins", route.Rates{Provider: 10, Group: 5}, 1, 1, 50},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := route.New(route.Options{Concurrency: 5, Rates: tt.rates})
				r.Share(tt.share)
				var mu sync.Mutex
				calls := 0
				l := &ledger{}
				ctx, stop := context.WithCancelCause(t.Context())
				var wg sync.WaitGroup
				// Above some 255 goroutines in one bubble the race detector's own
				// runtime fails now and then (CHECK failed: tsan_rtl.cpp).
				for i := range 240 {
					e := worker.New(from{script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
						mu.Lock()
						defer mu.Unlock()
						calls++
						return accepted()
					}}, fmt.Sprint("sender ", i%tt.senders)}, l, r, worker.Options{Channel: models.SMS, MaxAttempts: 3, CallTimeout: time.Second})
					wg.Go(func() { _ = e.Handle(lifetime.New(ctx), record(), message.Progress{}, &lease{}) })
				}
				time.Sleep(10*time.Second + time.Millisecond)
				mu.Lock()
				if calls != tt.want {
					t.Errorf("%d calls in ten seconds, want %d", calls, tt.want)
				}
				mu.Unlock()
				stop(errStop)
				wg.Wait()
			})
		})
	}
}

// from is a channel whose messages have one sender.
type from struct {
	script

	sender string
}

func (f from) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := f.script.Decode(rec)
	d.Sender = f.sender
	return d, err
}

// Probes without any pause between them are kept apart all the same.
func TestBreakerWithoutPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{downUntil: time.Now().Add(10 * time.Second), latency: time.Millisecond, most: map[int]int{}}
		r := route.New(route.Options{Concurrency: 4, Breaker: route.Breaker{Failures: 1, CallTimeout: time.Second, Probe: p.probe}})
		defer running(t, r)()
		e := worker.New(script{recipients: []string{"a"}, send: p.send}, &ledger{}, r, worker.Options{
			Channel: models.SMS, MaxAttempts: 3, CallTimeout: time.Second,
		})
		handle(t, e)
		time.Sleep(time.Minute)
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.sent) != 1 || p.probes > 300 {
			t.Errorf("%d sent after %d probes", len(p.sent), p.probes)
		}
		if s, _, _ := r.Breaker(); s != route.Closed {
			t.Errorf("the breaker is %v", s)
		}
	})
}
