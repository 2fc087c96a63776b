package route

import (
	"cmp"
	"context"
	"time"

	"messaging-worker/internal/fifo"
)

// queue holds those who wait, in the order in which they first asked. The zero
// queue is ready for use.
type queue struct{ waiting fifo.Queue[*waiter] }

// waiter is a call that waits to be started, or an attempt to be admitted.
type waiter struct {
	attempt *Attempt // nil for a call that waits to be started
	calls   int      // of it
	call    Call     // that was started
	number  int      // in the order of asking
	granted bool
	gone    bool      // gave up; skipped when it comes first
	yields  bool      // lets others be worked on while it waits
	ready   chan bool // has true when it is granted, and false when it is to yield
}

// join has w wait: behind those who asked before, and before those who asked
// later, where it has waited already.
func (q *queue) join(w *waiter) {
	w.granted = false
	q.waiting.Insert(w, func(a, b *waiter) int { return cmp.Compare(a.number, b.number) })
}

// head returns the first waiter that is still there, or nil.
func (q *queue) head() *waiter {
	for w, ok := q.waiting.Peek(); ok; w, ok = q.waiting.Peek() {
		if !w.gone {
			return w
		}
		q.waiting.Pop()
	}
	return nil
}

// grant grants the head's wish.
func (q *queue) grant() {
	w, _ := q.waiting.Pop()
	w.granted = true
	w.wake(true)
}

// yield tells all waiters to let others be worked on.
func (q *queue) yield() {
	for w := range q.waiting.All() {
		if !w.yields && !w.gone {
			w.yields = true
			w.wake(false)
		}
	}
}

// wake is called with the route's mu held, and so never waits.
func (w *waiter) wake(granted bool) {
	select {
	case <-w.ready: // it has not seen yet that it is to yield
	default:
	}
	w.ready <- granted
}

// newWaiter returns who waits behind all others, and goes back to r.waiters
// once it is granted. It is called with r.mu held.
func (r *Route) newWaiter() *waiter {
	r.asked++
	w, ok := r.waiters.Get().(*waiter)
	if !ok {
		return &waiter{number: r.asked, ready: make(chan bool, 1)}
	}
	*w = waiter{number: r.asked, ready: w.ready}
	return w
}

// wait returns nil once w is granted, errPaused when it is to wait aside for
// that, or the cause of ctx's end. Then it is out of the queue.
func (r *Route) wait(ctx context.Context, w *waiter) error {
	select {
	case granted := <-w.ready:
		if !granted {
			return errPaused
		}
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.granted { // at the same moment: it is ours
		<-w.ready
		return nil
	}
	r.leave(w)
	return context.Cause(ctx)
}

// leave takes a waiter that gives up out of its queue. It is called with r.mu
// held.
func (r *Route) leave(w *waiter) {
	now := time.Now()
	w.gone = true
	if a := w.attempt; a != nil && a.sender != nil {
		if a.sender.first == w {
			a.sender.first = nil
		}
		r.nextOf(now, a.sender)
	}
	r.grant(now) // it may have stood in front of somebody who fits
}
