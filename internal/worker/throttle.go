package worker

import (
	"sync"
	"time"
)

// Bounds of a hold whose length the provider does not tell.
const (
	minHold = time.Second
	maxHold = time.Minute
)

// throttle says how long a provider that finds us too fast is left alone.
type throttle struct {
	mu    sync.Mutex
	until time.Time
	last  time.Duration // of the last hold that the provider did not tell; zero after an acceptance
}

// answered is told that the provider throttles, and how long it wants to be
// left alone, zero where it does not say. It returns when the hold ends. A
// hold that we choose doubles each time that it was too short.
func (t *throttle) answered(after time.Duration) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if after <= 0 {
		if now.Before(t.until) {
			return t.until // of a call that was under way when the hold began
		}
		t.last = min(max(2*t.last, minHold), maxHold)
		after = t.last
	}
	if until := now.Add(after); until.After(t.until) {
		t.until = until
	}
	return t.until
}

// ends returns when the latest hold ends.
func (t *throttle) ends() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until
}

// accepted is told that the provider has taken a call.
func (t *throttle) accepted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last > 0 && time.Now().After(t.until) {
		t.last = 0
	}
}
