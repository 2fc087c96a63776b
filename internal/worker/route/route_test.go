package route_test

import (
	"context"
	"errors"
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

// made returns how many calls have begun.
func (p *provider) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.began)
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

// Calls that began together end together: behind them all places ahead are
// taken in time, and not long before.
func TestLookAheadSeesAWaveComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, waves, length = 100, 20, 50 * time.Millisecond
		p := &provider{route: route.New(route.Options{Concurrency: slots})}
		for range 5000 { // until it is known how long calls take
			_ = p.call(t.Context(), from("a"), 0, length)
		}
		p.began = nil
		start := time.Now()
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
		if took, ideal := time.Since(start), waves*length; took > ideal*105/100 || p.made() != slots*waves {
			t.Errorf("%d calls took %v, want at most 5 %% above the ideal %v", p.made(), took, ideal)
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
				published := int(ahead.Load()) - p.made()
				if p.made() != tt.made || published < slots/4 || published > slots/4+20 {
					t.Errorf("%d attempts are published behind %d calls, want about %d behind %d", published, p.made(), slots/4, tt.made)
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

// A message with more calls than may be ahead goes when it is alone, and nobody
// who comes later goes before it.
func TestALargeMessageIsNotStarved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 4})}
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Millisecond)
				_ = p.call(t.Context(), from("a"), time.Millisecond, 10*time.Millisecond)
			})
		}
		time.Sleep(15*time.Millisecond + time.Microsecond)
		a, start := from("a"), time.Now()
		if err := p.route.Admit(t.Context(), a, 100, nil); err != nil {
			t.Error(err)
		}
		if waited := time.Since(start); waited > 30*time.Millisecond {
			t.Errorf("it waited for %v, while others who came later were called", waited)
		}
		for range 100 {
			wg.Go(func() { _ = p.start(t.Context(), a, time.Millisecond, nil) })
		}
		wg.Wait()
		if p.made() != 200 {
			t.Errorf("%d calls, want 200", p.made())
		}
		p.idle(t, 4)
	})
}

// Who gives up at the head of a queue lets the next go.
func TestNextGoesWhenTheFirstGivesUp(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]float64{"a large message": 0, "one of a sender": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := route.New(route.Options{Concurrency: 8, Rates: route.Rates{Sender: rate}})
				ahead := from("ahead")
				if err := r.Admit(t.Context(), ahead, 1, nil); err != nil {
					t.Fatal(err)
				}
				if rate > 0 {
					r.Pause(time.Now().Add(time.Second))
				}
				ctx, giveUp := context.WithCancel(t.Context())
				ended := make(chan error, 2)
				go func() { ended <- r.Admit(ctx, from("a"), 100, nil) }()
				synctest.Wait()
				go func() { ended <- r.Admit(t.Context(), from("a"), 1, nil) }()
				synctest.Wait()
				giveUp()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("Admit = %v, want that it gave up", err)
				}
				if rate > 0 {
					r.Withdraw(ahead, 1)
					time.Sleep(time.Second)
				}
				synctest.Wait()
				select {
				case err := <-ended:
					if err != nil {
						t.Errorf("Admit = %v", err)
					}
				default:
					t.Fatal("the next still waits")
				}
			})
		})
	}
}

// A call that was not made is ahead again: until it is made or withdrawn, no
// more attempts are admitted than may be ahead with it.
func TestCallThatIsNotMadeIsAheadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, a := route.New(route.Options{Concurrency: 1}), from("a")
		if err := r.Admit(t.Context(), a, 1, nil); err != nil {
			t.Fatal(err)
		}
		call, err := r.Start(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.End(call, route.Outcome{Failure: &common.Failure{NotCalled: true}})
		admitted := make(chan error, 1)
		go func() { admitted <- r.Admit(t.Context(), from("b"), 100, nil) }()
		synctest.Wait()
		if len(admitted) > 0 {
			t.Error("another attempt was admitted besides")
		}
		r.Withdraw(a, 1)
		if err := <-admitted; err != nil {
			t.Errorf("Admit = %v", err)
		}
	})
}

// A pause that begins between the grant of a slot and the call keeps the call
// from being made, and it keeps its place.
func TestPauseAfterTheGrant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.New(route.Options{Concurrency: 8})
		r.Bound(1)
		first := from("a")
		err := r.Admit(t.Context(), first, 4, nil)
		call, startErr := r.Start(t.Context(), first, nil)
		if err = errors.Join(err, startErr); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				call, err := r.Start(t.Context(), first, nil)
				if err != nil || time.Since(start) < time.Second {
					t.Errorf("Start = %v after %v, want after the pause", err, time.Since(start))
				}
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				r.End(call, route.Outcome{})
			})
			synctest.Wait()
		}
		r.End(call, route.Outcome{}) // grants the next its slot, and before that one wakes
		r.Pause(start.Add(time.Second))
		wg.Wait()
		if !slices.Equal(order, []int{0, 1, 2}) {
			t.Errorf("order %v, want that of asking", order)
		}
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
			if made.Load() != 200 {
				r.Errorf("%d calls, want 200", made.Load())
			}
			p.idle(t, int(bound.Load()))
		})
	})
}

// While a route is paused nothing is admitted or started, whoever was admitted
// before; afterwards all calls are made.
func TestNothingStartsWhilePaused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 10).Draw(r, "slots")
		comes := rapid.SliceOfN(rapid.IntRange(0, 300), 1, 60).Draw(r, "when calls come, in ms")
		pauses := rapid.SliceOfN(rapid.IntRange(1, 80), 1, 5).Draw(r, "pauses, in ms")
		synctest.Test(t, func(t *testing.T) {
			p := &provider{route: route.New(route.Options{Concurrency: slots})}
			var until atomic.Pointer[time.Time]
			until.Store(new(time.Time))
			var wg sync.WaitGroup
			wg.Go(func() {
				for _, ms := range pauses {
					time.Sleep(60*time.Millisecond + time.Microsecond) // never at the moment of a start
					end := time.Now().Add(time.Duration(ms) * time.Millisecond)
					p.route.Pause(end)
					if end.After(*until.Load()) {
						until.Store(&end)
					}
				}
			})
			var made atomic.Int64
			for _, ms := range comes {
				wg.Go(func() {
					time.Sleep(time.Duration(ms) * time.Millisecond)
					a := from("a")
					if err := p.route.Admit(t.Context(), a, 1, nil); err != nil || time.Now().Before(*until.Load()) {
						r.Errorf("Admit = %v, %v before the pause's end", err, time.Until(*until.Load()))
					}
					time.Sleep(2 * time.Millisecond)
					call, err := p.route.Start(t.Context(), a, nil)
					if err != nil || time.Now().Before(*until.Load()) {
						r.Errorf("Start = %v, %v before the pause's end", err, time.Until(*until.Load()))
					}
					made.Add(1)
					time.Sleep(10 * time.Millisecond)
					p.route.End(call, route.Outcome{})
				})
			}
			wg.Wait()
			if int(made.Load()) != len(comes) {
				r.Errorf("%d of %d calls were made", made.Load(), len(comes))
			}
		})
	})
}
