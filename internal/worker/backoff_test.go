package worker

import (
	"testing"
	"time"
)

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
