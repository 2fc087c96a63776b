package route_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/worker/route"
)

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
		p, start := &provider{}, time.Now()
		p.route = route.New(route.Options{Concurrency: 50, Breaker: route.Breaker{
			Failures: 1, OpenFor: time.Second, CallTimeout: time.Second,
			Probe: func(context.Context) error {
				if time.Since(start) < 3*time.Second {
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
			if s, _, _ := p.route.Breaker(); s != want || p.made() != calls {
				t.Errorf("%v after %d calls, want %v after %d", s, p.made(), want, calls)
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
