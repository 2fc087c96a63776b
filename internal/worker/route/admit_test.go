package route

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"messaging-worker/internal/adapters/common"
)

// ours is a lease that nobody disputes.
type ours struct{}

func (ours) Await(context.Context) error   { return nil }
func (ours) Yield(wait func() error) error { return wait() }

func attempt() *Attempt {
	return &Attempt{Lease: ours{}, Delivery: &common.Delivery{Sender: "s", Recipients: []string{"r"}}}
}

// A pause may begin between the moment when an attempt joins the queue and the
// one when it begins to wait: it waits on, and is admitted afterwards.
func TestPauseAsAWaitBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{Concurrency: 1})
		first, second := attempt(), attempt()
		if err := r.Admit(t.Context(), first, 1, []int{0}); err != nil {
			t.Fatal(err)
		}
		w := r.askToAdmit(second, 5, nil) // more calls than may be ahead of others
		r.Pause(time.Now().Add(time.Second))
		time.AfterFunc(2*time.Second, func() { r.Withdraw(first, 1) })
		if err := r.waitToAdmit(t.Context(), second, w); err != nil {
			t.Fatalf("waitToAdmit() = %v, want the admission", err)
		}
		r.Withdraw(second, 5)
		if r.ahead != [lanes]int{} {
			t.Errorf("%d calls are ahead after all were withdrawn", r.ahead)
		}
	})
}

// An attempt that gave up during a pause is not kept until its end: pauses last
// for hours, and an attempt holds its whole message.
func TestAttemptThatGaveUpIsForgotten(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]float64{"no rate": 0, "a rate for each sender": 1} {
		r := New(Options{Concurrency: 1, Rates: Rates{Sender: rate}})
		r.Pause(time.Now().Add(time.Hour))
		var gone []weak.Pointer[Attempt]
		for range 10 {
			a := attempt()
			gone = append(gone, weak.Make(a))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- r.Admit(ctx, a, 1, []int{0}) }()
			for waits := false; !waits; runtime.Gosched() {
				r.mu.Lock()
				waits = !r.admits.empty()
				r.mu.Unlock()
			}
			cancel()
			if err := <-ended; err == nil {
				t.Fatalf("%s: admitted during a pause", name)
			}
		}
		runtime.GC()
		for i, p := range gone {
			if p.Value() != nil {
				t.Errorf("%s: attempt %d is kept", name, i)
			}
		}
		runtime.KeepAlive(r)
	}
}
