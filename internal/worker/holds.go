package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"messaging-worker/internal/adapters/common"
)

// maxHolds bounds how many senders and pairs are remembered. Who is not is
// held message by message, by its backoff.
const maxHolds = 10_000

// holds keeps attempts waiting where the provider finds us too fast for one
// sender, or for one pair of sender and recipient: another message of theirs
// would be answered alike. It is safe for concurrent use.
type holds struct {
	n    atomic.Int64 // how many there are: nearly always none
	mu   sync.Mutex
	held map[string]*throttle // by party
}

func newHolds() *holds { return &holds{held: map[string]*throttle{}} }

// party names a sender, or with a recipient the pair of both.
func party(sender, recipient string) string { return sender + "\x00" + recipient }

// parties returns the sender of m and its pairs with recipients.
func parties(m *job, recipients []int) []string {
	sender := m.delivery.Sender()
	list := append(make([]string, 0, 1+len(recipients)), party(sender, ""))
	for _, i := range recipients {
		list = append(list, party(sender, m.delivery.Recipient(i)))
	}
	return list
}

// answered is told that the provider throttles these calls of m, and how long
// it wants to be left alone, zero where it does not say.
func (h *holds) answered(m *job, recipients []int, scope common.ThrottleScope, after time.Duration) {
	list := parties(m, recipients)
	if scope == common.ScopeSender {
		list = list[:1]
	} else {
		list = list[1:]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range list {
		t := h.held[name]
		if t == nil {
			if len(h.held) >= maxHolds {
				h.forget()
			}
			if len(h.held) >= maxHolds {
				continue
			}
			t = &throttle{}
			h.held[name] = t
		}
		t.answered(after)
	}
	h.n.Store(int64(len(h.held)))
}

// accepted is told that the provider has taken these calls of m. A hold that
// is still on is of a later answer, and stays.
func (h *holds) accepted(m *job, recipients []int) {
	if h.n.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range parties(m, recipients) {
		if t := h.held[name]; t != nil && !time.Now().Before(t.ends()) {
			delete(h.held, name)
		}
	}
	h.n.Store(int64(len(h.held)))
}

// forget drops the holds that ended so long ago that the next one may as well
// be the first. It is called with h.mu held.
func (h *holds) forget() {
	for name, t := range h.held {
		if time.Since(t.ends()) > maxHold {
			delete(h.held, name)
		}
	}
}

// until returns when the last hold of these calls of m ends; the past where
// there is none.
func (h *holds) until(m *job, recipients []int) (last time.Time) {
	if h.n.Load() == 0 {
		return last
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range parties(m, recipients) {
		if t := h.held[name]; t != nil && t.ends().After(last) {
			last = t.ends()
		}
	}
	return last
}

// wait returns nil once these calls of m are held no longer, or the cause of
// ctx's end.
func (h *holds) wait(ctx context.Context, m *job, recipients []int) error {
	for {
		left := time.Until(h.until(m, recipients))
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}
