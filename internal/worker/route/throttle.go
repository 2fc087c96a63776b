package route

import (
	"sync/atomic"
	"time"

	"messaging-worker/internal/adapters/common"
)

// Bounds of a throttle whose length the provider does not tell.
const (
	minThrottle = time.Second
	maxThrottle = time.Minute
)

// throttle says how long a provider that finds us too fast is left alone.
type throttle struct {
	until time.Time
	last  time.Duration // that the provider did not tell; zero after an acceptance
}

// extend returns when the throttle ends, of which the provider has just told
// and how long it wants to be left alone, zero where it does not say. A length
// that we choose doubles each time that it was too short.
func (t *throttle) extend(now time.Time, after time.Duration) time.Time {
	if after <= 0 {
		if now.Before(t.until) {
			return t.until // of a call that was under way when the throttle began
		}
		t.last = min(max(2*t.last, minThrottle), maxThrottle)
		after = t.last
	}
	if until := now.Add(after); until.After(t.until) {
		t.until = until
	}
	return t.until
}

// accepted notes that the provider has taken a call.
func (t *throttle) accepted(now time.Time) {
	if t.last > 0 && now.After(t.until) {
		t.last = 0
	}
}

// maxThrottles bounds how many senders and pairs are remembered. Who is not is
// kept waiting message by message, by its backoff.
const maxThrottles = 10_000

// throttles keep attempts waiting where the provider finds us too fast for one
// sender, or for one pair of sender and recipient: another message of theirs
// would be answered alike.
type throttles struct {
	n  atomic.Int64 // how many there are: nearly always none
	of map[string]*throttle
}

// scopes names the sender of d, and its pairs with recipients.
func scopes(d *common.Delivery, recipients []int) []string {
	sender := d.Sender + "\x00"
	list := append(make([]string, 0, 1+len(recipients)), sender)
	for _, i := range recipients {
		list = append(list, sender+d.Recipients[i])
	}
	return list
}

// throttled notes that the provider throttles calls to recipients of d.
func (r *Route) throttled(now time.Time, d *common.Delivery, recipients []int, f *common.Failure) {
	list := scopes(d, recipients)
	if f.ThrottleScope == common.ScopeSender {
		list = list[:1]
	} else {
		list = list[1:]
	}
	t := &r.throttles
	for _, name := range list {
		if t.of[name] == nil {
			if len(t.of) >= maxThrottles {
				t.forget(now)
			}
			if len(t.of) >= maxThrottles {
				continue
			}
			t.of[name] = &throttle{}
		}
		t.of[name].extend(now, f.RetryAfter)
	}
	t.n.Store(int64(len(t.of)))
}

// forget drops the throttles that ended so long ago that the next one may as
// well be the first.
func (t *throttles) forget(now time.Time) {
	for name, one := range t.of {
		if now.Sub(one.until) > maxThrottle {
			delete(t.of, name)
		}
	}
}

// accepted notes that the provider has taken calls to recipients of d. A
// throttle that is still on is of a later answer, and stays.
func (t *throttles) accepted(now time.Time, d *common.Delivery, recipients []int) {
	if len(t.of) == 0 {
		return
	}
	for _, name := range scopes(d, recipients) {
		if one := t.of[name]; one != nil && !now.Before(one.until) {
			delete(t.of, name)
		}
	}
	t.n.Store(int64(len(t.of)))
}

// throttledUntil returns when the last throttle of calls to recipients of a
// ends; the zero time where there is none now.
func (r *Route) throttledUntil(a *Attempt, recipients []int) (last time.Time) {
	if r.throttles.n.Load() == 0 {
		return last
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, name := range scopes(a.Delivery, recipients) {
		if t := r.throttles.of[name]; t != nil && t.until.After(now) && t.until.After(last) {
			last = t.until
		}
	}
	return last
}
