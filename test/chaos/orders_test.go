package chaos_test

import (
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// pausing pauses one scope after another, several at once, and resumes them or
// lets their orders end, until it is stopped: then none is in force.
func pausing(t *testing.T, s *stage.Stage, r *rand.Rand, scopes ...models.Order) (stop func()) {
	t.Helper()
	for _, lane := range s.Lanes {
		scopes = append(scopes, models.Order{Action: models.ActionPause, Lane: lane})
	}
	inForce := map[int]bool{}
	end := often(t, r, func(choose func(int) int) {
		n := choose(len(scopes))
		if inForce[n] = !inForce[n]; inForce[n] {
			s.Give(scopes[n], time.Duration(100+choose(500))*time.Millisecond)
		} else {
			s.Lift(scopes[n])
		}
	})
	return func() {
		end()
		for _, order := range scopes {
			s.Lift(order)
		}
	}
}

// often does something some ten times a second until it is stopped.
func often(t *testing.T, r *rand.Rand, do func(choose func(int) int)) (stop func()) {
	t.Helper()
	seeded, done := rand.New(rand.NewPCG(r.Uint64(), 0)), make(chan struct{})
	var doing sync.WaitGroup
	doing.Go(func() {
		for {
			select {
			case <-time.After(time.Duration(20+seeded.IntN(150)) * time.Millisecond):
				do(seeded.IntN)
			case <-done:
				return
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(done)
		doing.Wait()
	})
	t.Cleanup(end) // of a test that fails in the middle
	return end
}

// Kill after kill while pauses and cancels come and go. Whatever the moment:
//
//   - each message has one end: what no order cancels is sent, what one does is
//     sent or canceled, and none is both or neither
//   - what is canceled is not called after that event. What was called before it
//     is in it, but for calls that a kill took the outcome of
//   - no call of a canceled scope is made by a worker that starts after the order:
//     it has read the orders by then. What comes later ends without a call
//   - no call of a paused scope is made by workers that start during the order,
//     and afterwards it goes on
//   - what is called twice is bounded by what was under way at kills, and attempts
//     that orders took back are not spent
func TestKillsAmongOrders(t *testing.T) {
	t.Parallel()
	r := chance(t)
	i := &incident{
		killing: killing{recipients: 2, kills: pick(4, 40), extra: map[string]string{"PROVIDER_RATE_PER_SECOND": "600"}},
		s:       stage.New(t, models.SMS, allLanes(stage.Options{Control: true})), tenants: map[string]string{},
	}
	held := models.Order{Action: models.ActionPause, Tenant: heldTenant}
	i.s.Give(held, time.Hour)
	ids := i.fill(pick(2000, 20_000))
	r.Shuffle(len(i.cancels), func(a, b int) { i.cancels[a], i.cancels[b] = i.cancels[b], i.cancels[a] })
	resume := pausing(t, i.s, r, i.paused()...)
	stopCanceling := often(t, r, func(choose func(int) int) { i.cancel(choose(1 + len(i.cancels)/10)) })
	ledger := filepath.Join(t.TempDir(), "ledger")
	lives := i.again(t, i.s, r, ledger)
	resume()
	stopCanceling()
	i.cancel(len(i.cancels))
	late := i.comeLate(20)
	lives = append(lives, life{static: true, started: time.Now(), lines: math.MaxInt})
	i.s.Work(i.settings(i.s, ledger, true)).WaitReady(http.StatusOK)
	lifted := time.Now()
	i.s.Lift(held)
	i.s.Committed()
	list := readLedger(t, ledger)
	i.checkCalls(t, list, lives[len(lives)-2].lines, lifted)
	i.takeCanceled(t, list, ids.add(late), lives)
	for id, events := range i.s.SoFar() {
		if late[id] {
			stage.CheckSequence(t, "what came after its cancel", events, "queued 0, canceled 0")
		}
	}
	i.judge(t, i.s, ledger, ids, lives)
}
