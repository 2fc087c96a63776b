package route_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/worker/route"
)

// free is a lease that nobody disputes, of a message from sender to recipients
// 0 to 9.
type free struct{ sender string }

func (free) Await(context.Context) error   { return nil }
func (free) Yield(wait func() error) error { return wait() }

func (f free) delivery() *common.Delivery {
	return &common.Delivery{Sender: f.sender, Recipients: strings.Split("0123456789", "")}
}

func from(sender string) *route.Attempt {
	f := free{sender}
	return &route.Attempt{Lease: f, Delivery: f.delivery()}
}

// provider counts the calls that it has under way, and is used in a bubble.
type provider struct {
	route *route.Route

	mu    sync.Mutex
	under int
	most  int
	began []time.Time
}

// call takes one call through the route: admission, a wait for the
// acknowledgement, and the call.
func (p *provider) call(ctx context.Context, a *route.Attempt, ack, length time.Duration) error {
	if err := p.route.Admit(ctx, a, 1, []int{0}); err != nil {
		return err
	}
	time.Sleep(ack)
	return p.start(ctx, a, length, nil)
}

// start makes an admitted call, which fails so.
func (p *provider) start(ctx context.Context, a *route.Attempt, length time.Duration, f *common.Failure) error {
	call, err := p.route.Start(ctx, a, []int{0})
	if err != nil {
		p.route.Withdraw(a, 1)
		return err
	}
	p.mu.Lock()
	p.under++
	p.most = max(p.most, p.under)
	p.began = append(p.began, time.Now())
	p.mu.Unlock()
	time.Sleep(length)
	p.mu.Lock()
	p.under--
	p.mu.Unlock()
	p.route.End(call, route.Outcome{Failure: f})
	return nil
}

// idle checks that nothing is left behind: a route with so many slots lets as
// many calls start at once, and is ahead with none.
func (p *provider) idle(t *testing.T, slots int) {
	t.Helper()
	if n := p.route.InFlight(); n != 0 {
		t.Errorf("%d calls under way at the end", n)
	}
	// Only where nothing is ahead a crowd is admitted at once.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	crowd := from("crowd")
	admitted := make(chan error, 1)
	go func() { admitted <- p.route.Admit(ctx, crowd, 1000, nil) }()
	synctest.Wait()
	select {
	case err := <-admitted:
		if err != nil {
			t.Errorf("Admit = %v", err)
		}
	default:
		t.Error("calls are left ahead at the end")
		cancel()
		<-admitted
		return
	}
	var calls []route.Call
	for range slots {
		call, err := p.route.Start(t.Context(), crowd, nil)
		if err != nil {
			t.Errorf("Start = %v", err)
		}
		calls = append(calls, call)
	}
	for _, call := range calls {
		p.route.End(call, route.Outcome{})
	}
	p.route.Withdraw(crowd, 1000)
}

func TestNeverMoreCallsThanSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 7})}
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if err := p.call(t.Context(), from("a"), time.Millisecond, rand.N(50*time.Millisecond)); err != nil {
					t.Errorf("call = %v", err)
				}
			})
		}
		wg.Wait()
		if p.most != 7 || len(p.began) != 200 {
			t.Errorf("%d calls, at most %d under way, want 200 and 7", len(p.began), p.most)
		}
		p.idle(t, 7)
	})
}

// The wait for an acknowledgement costs no slot: with calls of 50 ms and
// acknowledgements of 5 ms the slots are never idle.
func TestLookAheadHidesTheAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, calls, length = 20, 2000, 50 * time.Millisecond
		p, start := &provider{route: route.New(route.Options{Concurrency: slots})}, time.Now()
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() { _ = p.call(t.Context(), from("a"), 5*time.Millisecond, length) })
		}
		wg.Wait()
		ideal := calls / slots * length
		if took := time.Since(start); took > ideal*103/100 || len(p.began) != calls {
			t.Errorf("%d calls took %v, want at most 3 %% above the ideal %v", len(p.began), took, ideal)
		}
	})
}

// Calls that began together end together: behind them all places ahead are
// taken in time, and not long before.
func TestLookAheadSeesAWaveComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, waves, length = 100, 20, 50 * time.Millisecond
		p, start := &provider{route: route.New(route.Options{Concurrency: slots})}, time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var early time.Duration
		for range slots * waves {
			wg.Go(func() {
				a := from("a")
				if p.route.Admit(t.Context(), a, 1, nil) != nil {
					return
				}
				asked := time.Now()
				time.Sleep(8 * time.Millisecond) // the acknowledgement
				_ = p.start(t.Context(), a, length, nil)
				mu.Lock()
				early += time.Since(asked) - length
				mu.Unlock()
			})
		}
		wg.Wait()
		if took, ideal := time.Since(start), waves*length; took > ideal*105/100 || len(p.began) != slots*waves {
			t.Errorf("%d calls took %v, want at most 5 %% above the ideal %v", len(p.began), took, ideal)
		}
		if mean := early / (slots * waves); mean > 40*time.Millisecond {
			t.Errorf("attempts stand published for %v before their calls, want about 20ms", mean)
		}
	})
}

// When calls hang, published attempts do not pile up behind them: no more than
// a quarter of the concurrency once the last start is 20 ms ago. Nor do they
// where calls wait for a rate.
func TestFewAttemptsWaitBehindHangingCalls(t *testing.T) {
	t.Parallel()
	const slots = 40
	for name, tt := range map[string]struct {
		rate  float64
		hangs time.Duration
		made  int
	}{"slots": {0, time.Hour, slots}, "a rate": {0.5, 0, 30}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &provider{route: route.New(route.Options{Concurrency: slots, Rates: route.Rates{Provider: tt.rate}})}
				ctx, cancel := context.WithCancel(t.Context())
				var ahead atomic.Int64
				var wg sync.WaitGroup
				for i := range 200 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						a := from("a")
						if p.route.Admit(ctx, a, 1, nil) == nil {
							ahead.Add(1)
							_ = p.start(ctx, a, tt.hangs, nil)
						}
					})
				}
				time.Sleep(time.Minute - time.Second/2)
				published := int(ahead.Load()) - len(p.began)
				if len(p.began) != tt.made || published < slots/4 || published > slots/4+20 {
					t.Errorf("%d attempts are published behind %d calls, want about %d behind %d", published, len(p.began), slots/4, tt.made)
				}
				cancel()
				wg.Wait()
			})
		})
	}
}

// Attempts are admitted and calls started in the order of asking, across a
// pause too.
func TestPlacesAreHandedOnInOrder(t *testing.T) {
	t.Parallel()
	const calls = 40
	for name, pause := range map[string]time.Duration{"no pause": 0, "a pause": time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &provider{route: route.New(route.Options{Concurrency: 1})}
				var order []int
				var wg sync.WaitGroup
				for i := range calls {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						a := from("a")
						if err := p.route.Admit(t.Context(), a, 1, nil); err != nil {
							t.Errorf("Admit = %v", err)
						}
						call, err := p.route.Start(t.Context(), a, nil)
						if err != nil {
							t.Errorf("Start = %v", err)
						}
						p.mu.Lock()
						order = append(order, i)
						p.mu.Unlock()
						time.Sleep(30 * time.Millisecond)
						p.route.End(call, route.Outcome{})
					})
				}
				if pause > 0 {
					time.Sleep(10*time.Millisecond + time.Microsecond/2)
					p.route.Pause(time.Now().Add(pause))
				}
				wg.Wait()
				if len(order) != calls || !slices.IsSorted(order) {
					t.Errorf("order %v, want that of asking, of %d", order, calls)
				}
			})
		})
	}
}

// A message with more calls than may be ahead goes when it is alone.
func TestALargeMessageIsNotStarved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 4})}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _ = p.call(t.Context(), from("a"), time.Millisecond, 10*time.Millisecond) })
		}
		wg.Go(func() {
			a := from("a")
			if err := p.route.Admit(t.Context(), a, 100, nil); err != nil {
				t.Error(err)
			}
			for range 100 {
				wg.Go(func() { _ = p.start(t.Context(), a, time.Millisecond, nil) })
			}
		})
		wg.Wait()
		if len(p.began) != 150 {
			t.Errorf("%d calls, want 150", len(p.began))
		}
		p.idle(t, 4)
	})
}

// Who gives up at a random moment leaves nothing taken behind.
func TestGivingUpLeavesNoTrace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 5).Draw(r, "slots")
		rates := route.Rates{Provider: rapid.SampledFrom([]float64{0, 100}).Draw(r, "rate"), Sender: rapid.SampledFrom([]float64{0, 70}).Draw(r, "sender's rate")}
		waits := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 40).Draw(r, "patience in ms")
		pause := rapid.IntRange(0, 60).Draw(r, "pause in ms")
		synctest.Test(t, func(t *testing.T) {
			p := &provider{route: route.New(route.Options{Concurrency: slots, Rates: rates})}
			var wg sync.WaitGroup
			for i, ms := range waits {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms)*time.Millisecond)
					defer cancel()
					err := p.call(ctx, from(string(rune('a'+i%3))), time.Millisecond, 20*time.Millisecond)
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("call = %v", err)
					}
				})
			}
			time.Sleep(10 * time.Millisecond)
			p.route.Pause(time.Now().Add(time.Duration(pause) * time.Millisecond))
			wg.Wait()
			time.Sleep(10 * time.Second) // for the bursts of the rates, and the end of the pause
			for range slots {            // it has eased
				if err := p.call(t.Context(), from("d"), 0, 0); err != nil {
					t.Errorf("call = %v", err)
				}
			}
			time.Sleep(10 * time.Second)
			if rates.Sender == 0 {
				p.idle(t, slots)
			}
		})
	})
}

// However many calls the provider takes, and however that changes, no call
// starts beyond it, and all are made.
func TestNoCallStartsBeyondTheBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 20).Draw(r, "slots")
		bounds := rapid.SliceOfN(rapid.IntRange(-1, 25), 1, 10).Draw(r, "bounds")
		synctest.Test(t, func(t *testing.T) {
			p := &provider{route: route.New(route.Options{Concurrency: slots})}
			var bound atomic.Int64
			bound.Store(int64(slots))
			var under, made atomic.Int64
			var wg sync.WaitGroup
			wg.Go(func() {
				for i, n := range bounds {
					// Never at the moment at which a call begins or ends.
					time.Sleep(33*time.Millisecond + time.Duration(i+1)*time.Microsecond)
					bound.Store(int64(min(max(n, 1), slots)))
					p.route.Bound(n)
				}
			})
			for range 200 {
				wg.Go(func() {
					a := from("a")
					_ = p.route.Admit(t.Context(), a, 1, nil)
					time.Sleep(2 * time.Millisecond)
					call, err := p.route.Start(t.Context(), a, nil)
					if err != nil {
						r.Errorf("Start = %v", err)
					}
					made.Add(1)
					if n, most := under.Add(1), bound.Load(); n > most {
						r.Errorf("a call starts as the %d. under way, want at most %d", n, most)
					}
					time.Sleep(10 * time.Millisecond)
					under.Add(-1)
					p.route.End(call, route.Outcome{})
				})
			}
			wg.Wait()
			if got, want := p.route.Concurrency(), min(max(bounds[len(bounds)-1], 1), slots); got != want || made.Load() != 200 {
				r.Errorf("Concurrency = %d after %d calls, want %d after 200", got, made.Load(), want)
			}
			p.idle(t, p.route.Concurrency())
		})
	})
}

// A share of the group's rate that is lowered holds for those who wait already.
func TestShareIsLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 10, Rates: route.Rates{Group: 100}})}
		p.route.Share(1)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { _ = p.call(ctx, from("a"), 0, 0) })
		}
		time.Sleep(time.Second + time.Millisecond)
		p.route.Share(0.1)
		before := len(p.began)
		time.Sleep(time.Second)
		if after := len(p.began) - before; before < 95 || before > 105 || after < 9 || after > 11 {
			t.Errorf("%d calls in a second of the whole rate and %d in one of a tenth, want 100 and 10", before, after)
		}
		stop()
		wg.Wait()
	})
}

// Whatever calls come, and however the share of the group's rate changes, no
// more start in any time than the rates let: their burst, and what they let
// start in that time. None is lost.
func TestRatesAreNeverExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rates := route.Rates{
			Provider: rapid.SampledFrom([]float64{0, 3, 40}).Draw(r, "provider"),
			Sender:   rapid.SampledFrom([]float64{0, 2, 30}).Draw(r, "sender"),
			Group:    rapid.SampledFrom([]float64{0, 5, 60}).Draw(r, "group"),
		}
		shares := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 5).Draw(r, "shares")
		comes := rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 60).Draw(r, "when calls come, in ms")
		length := time.Duration(rapid.IntRange(0, 300).Draw(r, "length in ms")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			p := &provider{route: route.New(route.Options{Concurrency: 8, Rates: rates})}
			var wg sync.WaitGroup
			wg.Go(func() {
				for _, share := range shares {
					p.route.Share(share)
					time.Sleep(700 * time.Millisecond)
				}
				p.route.Share(0.5)
			})
			for i, ms := range comes {
				wg.Go(func() {
					time.Sleep(time.Duration(ms) * time.Millisecond)
					f := &common.Failure{NotCalled: i%7 == 0}
					a := from("a")
					if err := p.route.Admit(t.Context(), a, 1, nil); err != nil {
						r.Errorf("Admit = %v", err)
					}
					if f.NotCalled { // it is made the second time
						call, err := p.route.Start(t.Context(), a, nil)
						if err != nil {
							r.Errorf("Start = %v", err)
						}
						p.route.End(call, route.Outcome{Failure: f})
					}
					_ = p.start(t.Context(), a, length, nil)
				})
			}
			wg.Wait()
			if len(p.began) != len(comes) {
				r.Errorf("%d of %d calls were made", len(p.began), len(comes))
			}
			for name, rate := range map[string]float64{"provider": rates.Provider, "sender": rates.Sender, "group": rates.Group} {
				if rate > 0 && name != "sender" { // whose token is of the admission, not of the start
					within(r, name, p.began, rate)
				}
			}
		})
	})
}

// within checks that of no two starts more lie between than a rate lets.
func within(r *rapid.T, name string, began []time.Time, rate float64) {
	for i := range began {
		for j := i + 1; j < len(began); j++ {
			if most := rate + rate*began[j].Sub(began[i]).Seconds() + 1e-6; float64(j-i+1) > max(1, most)+1 {
				r.Errorf("%d calls within %v, more than the rate of the %s lets, %v", j-i+1, began[j].Sub(began[i]), name, rate)
			}
		}
	}
}

// Who waits for a rate has no slot, and keeps nobody from one: calls start as
// soon as there is a token again, though many wait.
func TestWaitForARateHoldsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 4, Rates: route.Rates{Provider: 2}})}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = p.call(t.Context(), from("a"), time.Millisecond, 0) })
		}
		time.Sleep(time.Second / 4)
		if n := p.route.InFlight(); n != 0 || len(p.began) != 2 {
			t.Errorf("%d calls under way after %d, want none while all wait for the rate", n, len(p.began))
		}
		wg.Wait()
	})
}

// The rate of one sender keeps no other's calls waiting.
func TestSenderWaitsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 2, Rates: route.Rates{Sender: 1}})}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _ = p.call(ctx, from("busy"), 0, 0) })
		}
		synctest.Wait()
		start := time.Now()
		for i := range 50 {
			if err := p.call(t.Context(), from(string(rune('A'+i))), 0, 0); err != nil {
				t.Errorf("call = %v", err)
			}
		}
		if took := time.Since(start); took > 0 || len(p.began) != 51 {
			t.Errorf("%d calls of others took %v behind a sender that waits", len(p.began)-1, took)
		}
		stop()
		wg.Wait()
	})
}

// down is a failure on the provider's side.
func down() *common.Failure {
	f := common.Transient(errors.New("http 503"))
	f.Unreachable = true
	return f
}

// The breaker closes when as many calls are let in as the provider takes, and
// leaves no limit of its own behind. While it is open nothing is admitted or
// started; half open it lets in one call, then two, then four.
func TestBreakerClosesAtTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{}
		p.route = route.New(route.Options{Concurrency: 50, Breaker: route.Breaker{
			Failures: 1, OpenFor: time.Second, CallTimeout: time.Second,
			Probe: func(context.Context) error {
				if len(p.began) == 1 && time.Since(p.began[0]) < 3*time.Second {
					return down()
				}
				return nil
			},
		}})
		p.route.Bound(3)
		ctx, stop := context.WithCancel(t.Context())
		var run, wg sync.WaitGroup
		run.Go(func() { p.route.Run(ctx) })
		is := func(want route.BreakerState, calls int) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if s, _, _ := p.route.Breaker(); s != want || len(p.began) != calls {
				t.Errorf("%v after %d calls, want %v after %d", s, len(p.began), want, calls)
			}
		}
		late := from("late") // is admitted, and starts only when the provider is back
		_ = p.route.Admit(ctx, late, 1, nil)
		a := from("a")
		_ = p.route.Admit(ctx, a, 1, nil)
		_ = p.start(ctx, a, 0, down())
		wg.Go(func() { _ = p.start(ctx, late, 300*time.Millisecond, nil) })
		for range 20 {
			wg.Go(func() { _ = p.call(ctx, from("a"), 0, 300*time.Millisecond) })
		}
		time.Sleep(2900 * time.Millisecond)
		is(route.Open, 1)
		time.Sleep(250 * time.Millisecond)
		is(route.HalfOpen, 2)
		time.Sleep(300 * time.Millisecond)
		is(route.HalfOpen, 4)
		time.Sleep(300 * time.Millisecond)
		is(route.Closed, 7) // as many as the bound
		p.route.Bound(50)
		wg.Wait()
		if p.most != 18 { // the 3 and all that were left
			t.Errorf("at most %d calls under way, want 18 when the provider takes 50", p.most)
		}
		stop()
		run.Wait()
	})
}

// doubt is a lease that is in doubt while a test says so.
type doubt struct {
	free

	mu sync.Mutex
	ok chan struct{} // nil: certain
}

func (d *doubt) Await(ctx context.Context) error {
	d.mu.Lock()
	ok := d.ok
	d.mu.Unlock()
	if ok == nil {
		return nil
	}
	select {
	case <-ok:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A call whose lease is in doubt when it could start gives slot and tokens to
// others, and is made when the lease is certain.
func TestDoubtHoldsNoSlotAndNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 2, Rates: route.Rates{Group: 100}})}
		p.route.Share(1)
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { _ = p.call(t.Context(), from("first"), 0, time.Second/10) })
		}
		synctest.Wait()
		d := &doubt{}
		a, other := &route.Attempt{Lease: d, Delivery: d.delivery()}, from("other")
		if err := errors.Join(p.route.Admit(t.Context(), a, 1, nil), p.route.Admit(t.Context(), other, 1, nil)); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { _ = p.start(t.Context(), a, 0, nil) }) // waits for a slot, certain as yet
		synctest.Wait()
		p.route.Share(0) // one token is left, and none to come
		d.mu.Lock()
		d.ok = make(chan struct{})
		d.mu.Unlock()
		time.Sleep(time.Second / 5)
		if n := p.route.InFlight(); n != 0 || len(p.began) != 2 {
			t.Errorf("%d calls under way after %d, want none while the lease is in doubt", n, len(p.began))
		}
		wg.Go(func() { _ = p.start(t.Context(), other, 0, nil) })
		synctest.Wait()
		if len(p.began) != 3 {
			t.Error("the token of a call in doubt is lost to others")
		}
		p.route.Share(1)
		close(d.ok)
		wg.Wait()
		if len(p.began) != 4 {
			t.Errorf("%d calls, want 4", len(p.began))
		}
	})
}
