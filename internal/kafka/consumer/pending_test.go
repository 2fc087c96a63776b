package consumer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestPendingBounds(t *testing.T) {
	t.Parallel()
	p := newPending(3, 100)
	steps := []struct {
		size int64
		want bool
	}{{60, true}, {50, false}, {40, true}, {0, true}, {0, false}}
	for i, s := range steps {
		if got := p.tryTake(s.size); got != s.want {
			t.Errorf("step %d: tryTake(%d) = %v, want %v", i, s.size, got, s.want)
		}
	}
	for _, size := range []int64{60, 40, 0} {
		p.release(size)
	}
	if !p.tryTake(1000) {
		t.Error("a message above the whole bound is not admitted, though nothing else is pending")
	}
	if p.tryTake(1) {
		t.Error("a message is admitted beside one above the whole bound")
	}
	if m, b := p.count(); m != 1 || b != 1000 {
		t.Errorf("count() = %d, %d, want 1, 1000", m, b)
	}
}

func TestPendingWaitsForRoomAndBeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPending(1, 100)
		p.tryTake(1)
		beats := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(5500 * time.Millisecond)
			p.release(1)
		})
		if err := p.take(t.Context(), 1, func() { beats++ }); err != nil || beats != 5 {
			t.Errorf("take = %v after %d beats, want nil after 5", err, beats)
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.take(ctx, 1, func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("take = %v, want the context's end", err)
		}
	})
}
