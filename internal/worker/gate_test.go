package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// call takes one call through the gate: ahead, a wait for the
// acknowledgement, a slot, the call.
func call(ctx context.Context, g *Gate, ack, length time.Duration, inCall func()) error {
	if err := g.Ahead(ctx, 1); err != nil {
		return err
	}
	time.Sleep(ack)
	slot, err := g.Slot(ctx)
	if err != nil {
		g.Withdraw(1)
		return err
	}
	defer g.Release(slot)
	inCall()
	time.Sleep(length)
	return nil
}

func TestNeverMoreCallsThanSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(7)
		var wg sync.WaitGroup
		for range 500 {
			wg.Go(func() {
				_ = call(t.Context(), g, time.Millisecond, rand.N(50*time.Millisecond), func() {
					if n := g.InFlight(); n > 7 {
						t.Errorf("%d calls under way, want at most 7", n)
					}
				})
			})
		}
		wg.Wait()
		if g.slots.held != 0 || g.ahead.held != 0 {
			t.Errorf("%d slots and %d places ahead taken at the end, want none", g.slots.held, g.ahead.held)
		}
	})
}

// The wait for an acknowledgement costs no slot: with calls of 50 ms and
// acknowledgements of 5 ms the slots are never idle.
func TestLookAheadHidesTheAcknowledgement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, calls = 20, 2000
		g := NewGate(slots)
		start := time.Now()
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() { _ = call(t.Context(), g, 5*time.Millisecond, 50*time.Millisecond, func() {}) })
		}
		wg.Wait()
		ideal := calls / slots * 50 * time.Millisecond
		if took := time.Since(start); took > ideal*103/100 {
			t.Errorf("%d calls took %v, want at most 3 %% above the ideal %v", calls, took, ideal)
		}
	})
}

// Calls that began together end together: behind them all places ahead are
// taken in time, and not long before.
func TestLookAheadSeesAWaveComing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, waves, length = 100, 20, 50 * time.Millisecond
		g := NewGate(slots)
		start := time.Now()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var early time.Duration
		for range slots * waves {
			wg.Go(func() {
				if g.Ahead(t.Context(), 1) != nil {
					return
				}
				asked := time.Now()
				time.Sleep(8 * time.Millisecond) // the acknowledgement
				slot, err := g.Slot(t.Context())
				if err != nil {
					return
				}
				mu.Lock()
				early += time.Since(asked)
				mu.Unlock()
				time.Sleep(length)
				g.Release(slot)
			})
		}
		wg.Wait()
		if took, ideal := time.Since(start), waves*length; took > ideal*105/100 {
			t.Errorf("%v, want at most 5 %% above the ideal %v", took, ideal)
		}
		if mean := early / (slots * waves); mean > 2*lookAhead {
			t.Errorf("attempts stand published for %v before their calls, want about %v", mean, lookAhead)
		}
	})
}

// Calls that hang after many that did not are not expected for long.
func TestForecastForgetsCallsThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f forecast
		for range 200 {
			f.ended(f.expect(time.Now()), 50*time.Millisecond)
		}
		if f.typical < 40*time.Millisecond || f.typical > 60*time.Millisecond {
			t.Errorf("typical %v, want about 50ms", f.typical)
		}
		for range 10 {
			f.expect(time.Now())
		}
		for _, want := range []int{0, 10, 0} { // now, when they should end, and well after
			if got := f.soon(time.Now()); got != want {
				t.Errorf("%d are expected soon, want %d", got, want)
			}
			time.Sleep(45 * time.Millisecond)
		}
	})
}

// When calls hang, published attempts do not pile up behind them: no more
// than a quarter of the concurrency once the last start is 20 ms ago.
func TestFewAttemptsWaitBehindHangingCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots = 40
		g := NewGate(slots)
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		ahead := 0
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if g.Ahead(ctx, 1) != nil {
					return
				}
				mu.Lock()
				ahead++
				mu.Unlock()
				if slot, err := g.Slot(ctx); err == nil {
					<-ctx.Done()
					g.Release(slot)
				} else {
					g.Withdraw(1)
				}
			})
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if published := ahead - slots; published < slots/4 || published > slots/4+20 {
			t.Errorf("%d attempts are published behind %d hanging calls, want about %d", published, slots, slots/4)
		}
		cancel()
	})
}

func TestPlacesAreHandedOnInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(1)
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_ = call(t.Context(), g, 0, 30*time.Millisecond, func() { order = append(order, i) })
			})
		}
		wg.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("order %v, want that of asking", order)
			}
		}
	})
}

// A message with more calls than may be ahead goes when it is alone.
func TestALargeMessageIsNotStarved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(4)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { _ = call(t.Context(), g, time.Millisecond, 10*time.Millisecond, func() {}) })
		}
		wg.Go(func() {
			if err := g.Ahead(t.Context(), 100); err != nil {
				t.Error(err)
			}
			var units sync.WaitGroup
			for range 100 {
				units.Go(func() {
					if slot, err := g.Slot(t.Context()); err == nil {
						time.Sleep(time.Millisecond)
						g.Release(slot)
					}
				})
			}
			units.Wait()
		})
		wg.Wait()
	})
}

// Waiters that give up at random moments leave nothing taken behind.
func TestGivingUpLeavesNoTrace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 5).Draw(r, "slots")
		waits := rapid.SliceOfN(rapid.IntRange(0, 60), 1, 40).Draw(r, "patience in ms")
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(slots)
			var wg sync.WaitGroup
			for _, ms := range waits {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms)*time.Millisecond)
					defer cancel()
					err := call(ctx, g, time.Millisecond, 20*time.Millisecond, func() {})
					if err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("call = %v", err)
					}
				})
			}
			wg.Wait()
			if g.slots.held != 0 || g.ahead.held != 0 || g.slots.head() != nil || g.ahead.head() != nil {
				t.Errorf("left behind: %d slots, %d ahead", g.slots.held, g.ahead.held)
			}
		})
	})
}

func TestBackoffCeiling(t *testing.T) {
	t.Parallel()
	b := Backoff{Base: 10 * time.Second, Max: 2 * time.Minute}
	for n, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 4: 80 * time.Second, 5: 2 * time.Minute, 100: 2 * time.Minute} {
		if got := b.Ceiling(n); got != want {
			t.Errorf("Ceiling(%d) = %v, want %v", n, got, want)
		}
	}
	if got := (Backoff{}).Wait(3); got != 0 {
		t.Errorf("Wait of a zero Backoff = %v, want 0", got)
	}
	low, high := b.Max, time.Duration(0)
	for range 2000 {
		w := b.Wait(1)
		low, high = min(low, w), max(high, w)
		if w < 0 || w > 10*time.Second {
			t.Fatalf("Wait(1) = %v, want 0 to 10s", w)
		}
	}
	if low > time.Second || high < 9*time.Second {
		t.Errorf("2000 waits lie between %v and %v: that is not full jitter", low, high)
	}
}

// However many calls the provider takes, and however that changes, no call
// starts beyond it, and all are made.
func TestNoCallStartsBeyondTheBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 20).Draw(r, "slots")
		bounds := rapid.SliceOfN(rapid.IntRange(-1, 25), 1, 10).Draw(r, "bounds")
		synctest.Test(t, func(t *testing.T) {
			g := NewGate(slots)
			var bound atomic.Int64
			bound.Store(int64(slots))
			var wg sync.WaitGroup
			wg.Go(func() {
				for i, n := range bounds {
					// Never at the moment at which a call begins or ends.
					time.Sleep(33*time.Millisecond + time.Duration(i+1)*time.Microsecond)
					bound.Store(int64(min(max(n, 1), slots)))
					g.Bound(n)
				}
			})
			for range 200 {
				wg.Go(func() {
					_ = call(t.Context(), g, 2*time.Millisecond, 10*time.Millisecond, func() {
						if n, most := g.InFlight(), int(bound.Load()); n > most {
							r.Errorf("a call starts with %d under way, want at most %d", n, most)
						}
					})
				})
			}
			wg.Wait()
			if g.slots.held != 0 || g.ahead.held != 0 {
				r.Errorf("%d slots and %d places ahead taken at the end, want none", g.slots.held, g.ahead.held)
			}
			if got, want := g.Concurrency(), min(max(bounds[len(bounds)-1], 1), slots); got != want {
				r.Errorf("Concurrency = %d, want %d", got, want)
			}
		})
	})
}

// The breaker closes when as many calls are let in as the provider takes, and
// leaves no limit of its own behind.
func TestBreakerClosesAtTheBound(t *testing.T) {
	t.Parallel()
	g := NewGate(50)
	b := NewBreaker(BreakerOptions{Gate: g, Failures: 5, Probe: func(context.Context) error { return nil }})
	g.Bound(3)
	b.mu.Lock()
	b.open(errors.New("down"), 0)
	b.mu.Unlock()
	b.halfOpen()
	for want := HalfOpen; want >= Closed; want-- { // two calls, then four
		b.end(b.begin(), callEnd{letIn: true})
		if s, _, _ := b.State(); s != want {
			t.Fatalf("%v, want %v", s, want)
		}
	}
	g.Bound(50)
	if n := g.free(); n != 50 {
		t.Errorf("%d calls may start when the provider takes 50", n)
	}
}
