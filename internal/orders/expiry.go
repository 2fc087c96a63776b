package orders

import (
	"container/heap"
	"time"

	"messaging-worker/internal/models"
)

// expiry knows which order ends next. Of an order that was lifted, or replaced,
// the old end is still in it, and means nothing when it comes.
type expiry struct {
	ends  ends
	timer *time.Timer
}

// end is when the order with a key may end.
type end struct {
	at  time.Time
	key string
}

// clockLook is how long at most a timer is set for: it does not know when the
// clock is set, or the machine sleeps.
const clockLook = time.Minute

func (e *expiry) clear() { e.ends = nil }

// expireAt has an order end in time. It is called with b.mu held.
func (b *Board) expireAt(o *models.Order) {
	heap.Push(&b.expiry.ends, end{o.Until, o.Key()})
	if b.expiry.ends[0].at.Equal(o.Until) {
		b.wait()
	}
}

// wait sets the timer for the next end. It is called with b.mu held.
func (b *Board) wait() {
	e := &b.expiry
	if len(e.ends) == 0 {
		return
	}
	in := min(time.Until(e.ends[0].at), clockLook)
	if e.timer == nil {
		e.timer = time.AfterFunc(in, b.expire)
		return
	}
	e.timer.Reset(in)
}

// expire ends the orders whose time has come.
func (b *Board) expire() {
	b.mu.Lock()
	now := time.Now()
	var changes []Change
	for e := &b.expiry.ends; len(*e) > 0 && !(*e)[0].at.After(now); {
		key := heap.Pop(e).(end).key //nolint:forcetypeassert // nothing else is in it
		o := b.orders.get(key)
		if o == nil || o.Until.After(now) {
			continue
		}
		b.orders.remove(key)
		b.update(o)
		changes = append(changes, Change{Kind: Expired, Order: o})
	}
	b.wait()
	b.mu.Unlock()
	b.changed(changes)
}

// ends is a heap of them, the next first.
type ends []end

func (e *ends) Len() int           { return len(*e) }
func (e *ends) Less(i, j int) bool { return (*e)[i].at.Before((*e)[j].at) }
func (e *ends) Swap(i, j int)      { (*e)[i], (*e)[j] = (*e)[j], (*e)[i] }
func (e *ends) Push(x any)         { *e = append(*e, x.(end)) } //nolint:forcetypeassert // see expire

func (e *ends) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}
