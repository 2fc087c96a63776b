package route_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// of is an attempt of a lane.
func of(lane models.Lane, sender string) *route.Attempt {
	a := from(sender)
	a.Lane = lane
	return a
}

// flood keeps so many attempts of a lane coming until ctx ends. Each call takes
// some 200 ms, or what hang says.
type flood struct {
	p      *provider
	starts map[models.Lane][]time.Time
	order  []models.Lane
}

func (f *flood) run(ctx context.Context, wg *sync.WaitGroup, lane models.Lane, sender string, attempts int, length time.Duration) {
	for range attempts {
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = f.one(ctx, lane, sender, length)
			}
		})
	}
}

// one takes an attempt through the route, with an acknowledgement of 5 ms.
func (f *flood) one(ctx context.Context, lane models.Lane, sender string, length time.Duration) error {
	a := of(lane, sender)
	if err := f.p.route.Admit(ctx, a, 1, []int{0}); err != nil {
		return err
	}
	time.Sleep(5 * time.Millisecond)
	call, err := f.p.route.Start(ctx, a, []int{0})
	if err != nil {
		f.p.route.Withdraw(a, 1)
		return err
	}
	f.p.mu.Lock()
	f.starts[lane] = append(f.starts[lane], time.Now())
	f.order = append(f.order, lane)
	f.p.mu.Unlock()
	time.Sleep(length + time.Duration(rand.IntN(10))*time.Millisecond)
	f.p.route.End(call, route.Outcome{})
	return nil
}

// flooded floods the lanes of a route for a minute.
func flooded(t *testing.T, o route.Options, sender string, high bool, during func(f *flood)) *flood {
	t.Helper()
	f := &flood{p: &provider{route: route.New(o)}, starts: map[models.Lane][]time.Time{}}
	f.p.route.Share(1)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	f.run(ctx, &wg, models.LaneBulk, sender, 300, 200*time.Millisecond)
	if high {
		f.run(ctx, &wg, models.LaneNormal, sender, 300, 200*time.Millisecond)
		f.run(ctx, &wg, models.LaneHigh, sender, 300, 200*time.Millisecond)
	}
	time.Sleep(time.Second)
	during(f)
	time.Sleep(time.Minute)
	stop()
	wg.Wait()
	return f
}

// While the high lane has more than the provider takes, each lower lane gets its
// share of any hundred starts, and the high lane all the rest, whatever bounds
// the starts.
func TestLowerLanesLive(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]route.Options{
		"slots":    {Concurrency: 20, Reserved: 2},
		"group":    {Concurrency: 20, Reserved: 2, Rates: route.Rates{Group: 50}},
		"provider": {Concurrency: 20, Reserved: 2, Rates: route.Rates{Provider: 50}},
		"sender":   {Concurrency: 20, Reserved: 2, Rates: route.Rates{Sender: 50}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o.LowerShare = .1
				f := flooded(t, o, "s", true, func(*flood) {})
				all := len(f.order)
				for _, lane := range []models.Lane{models.LaneNormal, models.LaneBulk} {
					if n := len(f.starts[lane]); n*1000 < all*98 || n*100 > all*12 {
						t.Errorf("%s has %d of %d starts, want a tenth", lane, n, all)
					}
				}
				for i := 200; i+100 <= all; i++ {
					n := map[models.Lane]int{}
					for _, lane := range f.order[i : i+100] {
						n[lane]++
					}
					if n[models.LaneNormal] < 10 || n[models.LaneBulk] < 10 {
						t.Fatalf("of the hundred starts from %d on: %v, want 10 of each lane", i, n)
					}
				}
			})
		})
	}
}

// However much waits in bulk, a code waits for one slot at most, or for the next
// token of each rate.
func TestCodeGoesFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    route.Options
		most time.Duration
	}{
		"slots without a reserve": {route.Options{Concurrency: 20}, 220 * time.Millisecond},
		"a reserve":               {route.Options{Concurrency: 20, Reserved: 2}, 6 * time.Millisecond},
		"group":                   {route.Options{Concurrency: 20, Reserved: 2, Rates: route.Rates{Group: 50}}, 30 * time.Millisecond},
		"sender":                  {route.Options{Concurrency: 20, Reserved: 2, Rates: route.Rates{Sender: 20}}, 60 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tt.o.LowerShare = .1
				var waits []time.Duration
				flooded(t, tt.o, "s", false, func(f *flood) {
					for range 50 {
						begun := time.Now()
						if err := f.one(t.Context(), models.LaneHigh, "s", 0); err != nil {
							t.Error(err)
						}
						f.p.mu.Lock()
						high := f.starts[models.LaneHigh]
						f.p.mu.Unlock()
						waits = append(waits, high[len(high)-1].Sub(begun))
						time.Sleep(500 * time.Millisecond)
					}
				})
				for _, wait := range waits {
					if wait > tt.most {
						t.Errorf("a code waited %v, want at most %v; all: %v", wait, tt.most, waits)
						break
					}
				}
			})
		})
	}
}

// Calls of the lower lanes that hang leave the reserve free, and their attempts
// that were published keep none of the high lane from being admitted.
func TestHangingCallsLeaveTheReserve(t *testing.T) {
	t.Parallel()
	for name, rates := range map[string]route.Rates{"no rates": {}, "a rate for each sender": {Sender: 100}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := route.Options{Concurrency: 10, Reserved: 1, LowerShare: .1, Rates: rates}
				f := &flood{p: &provider{route: route.New(o)}, starts: map[models.Lane][]time.Time{}}
				ctx, stop := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				f.run(ctx, &wg, models.LaneBulk, "s", 50, time.Hour)
				f.run(ctx, &wg, models.LaneNormal, "s", 50, time.Hour)
				time.Sleep(time.Minute)
				if n := o.Concurrency - 1; f.p.route.InFlight() != n {
					t.Errorf("%d calls of the lower lanes are under way, want %d", f.p.route.InFlight(), n)
				}
				for range 10 {
					begun := time.Now()
					if err := f.one(ctx, models.LaneHigh, "s", 0); err != nil {
						t.Error(err)
					}
					if took := time.Since(begun); took > 20*time.Millisecond {
						t.Errorf("a code took %v beside calls that hang", took)
					}
				}
				stop()
				wg.Wait()
			})
		})
	}
}

// Another rate of the group holds for those who wait already, and without one
// there is no limit.
func TestGroupRateIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 1000})}
		p.route.Share(.5)
		p.route.SetGroupRate(10)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { _ = p.call(ctx, from("a"), 0, time.Second) })
		}
		seconds := func(n int) int {
			before := p.made()
			time.Sleep(time.Duration(n) * time.Second)
			return p.made() - before
		}
		if n := seconds(10); n < 49 || n > 51 {
			t.Errorf("%d calls in 10 s at half of 10 a second", n)
		}
		p.route.SetGroupRate(20)
		if n := seconds(10); n < 99 || n > 101 {
			t.Errorf("%d calls in 10 s at half of 20 a second", n)
		}
		p.route.SetGroupRate(0)
		if n := seconds(1); n < 800 {
			t.Errorf("%d calls in a second without a rate", n)
		}
		stop()
		wg.Wait()
	})
}
