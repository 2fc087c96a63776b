package broadcast_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"messaging-worker/internal/broadcast"
)

func TestSendWakesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s broadcast.Signal
		s.Send() // nobody waits
		var woken atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			next := s.Next()
			wg.Go(func() {
				<-next
				woken.Add(1)
			})
		}
		synctest.Wait()
		if n := woken.Load(); n != 0 {
			t.Errorf("%d are awake before the next Send, want none", n)
		}
		s.Send()
		wg.Wait()
		select {
		case <-s.Next():
			t.Error("a Send wakes those who ask after it")
		default:
		}
	})
}

// Whoever takes Next before it looks at the state misses no change.
func TestNoChangeIsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(*testing.T) { // in which who waits for ever is found
		const changes = 1000
		var s broadcast.Signal
		var state atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					changed := s.Next()
					if state.Load() == changes {
						return
					}
					<-changed
				}
			})
		}
		for range changes {
			state.Add(1)
			s.Send()
		}
		wg.Wait()
	})
}
