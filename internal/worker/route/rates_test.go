package route_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/worker/route"
)

// A share of the group's rate that is lowered holds for those who wait already.
func TestShareIsLowered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &provider{route: route.New(route.Options{Concurrency: 10, Rates: route.Rates{Group: 100}})}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { _ = p.call(ctx, from("a"), 0, 0) })
		}
		time.Sleep(time.Minute)
		if n := p.made(); n != 0 {
			t.Errorf("%d calls without a share", n)
		}
		p.route.Share(1)
		time.Sleep(time.Second + time.Millisecond)
		p.route.Share(0.1)
		before := p.made()
		time.Sleep(time.Second)
		if after := p.made() - before; before < 95 || before > 105 || after < 9 || after > 11 {
			t.Errorf("%d calls in a second of the whole rate and %d in one of a tenth, want 100 and 10", before, after)
		}
		stop()
		wg.Wait()
	})
}

// Whatever calls come, however the share of the group's rate changes, and
// whoever waits for the end of a pause or of a doubt meanwhile: no more start in
// any time than the rates let, their burst and what they let start in that time.
// None is lost.
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
		pause := time.Duration(rapid.IntRange(0, 2000).Draw(r, "pause in ms")) * time.Millisecond
		certain := time.Duration(rapid.IntRange(0, 6000).Draw(r, "end of the doubt in ms")) * time.Millisecond
		const period, last = 700 * time.Millisecond, 0.5
		length := time.Duration(rapid.IntRange(0, 300).Draw(r, "length in ms")) * time.Millisecond
		synctest.Test(t, func(t *testing.T) {
			p := &provider{route: route.New(route.Options{Concurrency: 8, Rates: rates})}
			start, admitted := time.Now(), []time.Time(nil)
			p.route.Share(shares[0])
			time.AfterFunc(period, func() { p.route.Pause(time.Now().Add(pause)) })
			d := &doubt{ok: make(chan struct{})}
			time.AfterFunc(certain, func() { close(d.ok) })
			var wg sync.WaitGroup
			wg.Go(func() {
				for _, share := range append(shares[1:], last) {
					time.Sleep(period)
					p.route.Share(share)
				}
			})
			for i, ms := range comes {
				wg.Go(func() {
					time.Sleep(time.Duration(ms) * time.Millisecond)
					f := &common.Failure{NotCalled: i%7 == 0}
					a := from("a")
					if err := p.route.Admit(t.Context(), a, 1, nil); err != nil {
						r.Errorf("Admit = %v", err)
					}
					p.mu.Lock()
					admitted = append(admitted, time.Now())
					p.mu.Unlock()
					if i%3 == 0 { // the doubt comes with the call
						a.Lease = d
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
			if p.made() != len(comes) {
				r.Errorf("%d of %d calls were made", p.made(), len(comes))
			}
			// A sender's token is of the admission: its calls start as soon as they can.
			within(r, "sender", admitted, max(1, rates.Sender), func(from, to time.Time) float64 { return rates.Sender * to.Sub(from).Seconds() })
			within(r, "provider", p.began, max(1, rates.Provider), func(from, to time.Time) float64 { return rates.Provider * to.Sub(from).Seconds() })
			within(r, "group", p.began, max(1, rates.Group/20), func(from, to time.Time) float64 {
				sum := 0.0
				for i, share := range append(shares, last) {
					begins, ends := start.Add(time.Duration(i)*period), start.Add(time.Duration(i+1)*period)
					if i == len(shares) {
						ends = to
					}
					if begins.Before(from) {
						begins = from
					}
					if ends.After(to) {
						ends = to
					}
					sum += share * max(0, ends.Sub(begins).Seconds())
				}
				return rates.Group * sum
			})
		})
	})
}

// within checks that in no time more calls start than a rate lets: a burst, and
// what comes in that time. A rate of nothing is no limit.
func within(r *rapid.T, name string, began []time.Time, burst float64, comes func(from, to time.Time) float64) {
	r.Helper()
	if len(began) == 0 || comes(began[0], began[0].Add(time.Hour)) == 0 {
		return
	}
	for i := range began {
		for j := i + 1; j < len(began); j++ {
			if most := burst + comes(began[i], began[j]); float64(j-i+1) > math.Floor(most+1e-6) {
				r.Errorf("%d calls start within %v, and the rate of the %s lets %v", j-i+1, began[j].Sub(began[i]), name, most)
				return
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
		if n := p.route.InFlight(); n != 0 || p.made() != 2 {
			t.Errorf("%d calls under way after %d, want none while all wait for the rate", n, p.made())
		}
		wg.Wait()
	})
}

// A sender's token comes back with the attempt that is withdrawn.
func TestWithdrawnAttemptCostsNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, start := route.New(route.Options{Concurrency: 2, Rates: route.Rates{Sender: 0.01}}), time.Now()
		for range 5 {
			a := from("a")
			if err := r.Admit(t.Context(), a, 1, nil); err != nil {
				t.Errorf("Admit = %v", err)
			}
			r.Withdraw(a, 1)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("five attempts that were withdrawn took %v", took)
		}
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
		if took := time.Since(start); took > 0 || p.made() != 51 {
			t.Errorf("%d calls of others took %v behind a sender that waits", p.made()-1, took)
		}
		stop()
		wg.Wait()
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
		if n := p.route.InFlight(); n != 0 || p.made() != 2 {
			t.Errorf("%d calls under way after %d, want none while the lease is in doubt", n, p.made())
		}
		wg.Go(func() { _ = p.start(t.Context(), other, 0, nil) })
		synctest.Wait()
		if p.made() != 3 {
			t.Error("the token of a call in doubt is lost to others")
		}
		p.route.Share(1)
		close(d.ok)
		wg.Wait()
		if p.made() != 4 {
			t.Errorf("%d calls, want 4", p.made())
		}
	})
}
