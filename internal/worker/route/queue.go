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
	in      *queue    // where it waits, or waited last
	yields  bool      // was told to let others be worked on while it waits
	ready   chan bool // has true when it is granted, and false when it is to yield
}

// join has w wait: behind those who asked before, and before those who asked
// later, where it has waited already.
func (q *queue) join(w *waiter) {
	w.granted, w.yields, w.in = false, false, q
	q.waiting.Insert(w, byNumber)
}

func byNumber(a, b *waiter) int { return cmp.Compare(a.number, b.number) }

// head returns the first waiter, or nil.
func (q *queue) head() *waiter {
	w, _ := q.waiting.Peek()
	return w
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
		w.yield()
	}
}

func (w *waiter) yield() {
	if !w.yields {
		w.yields = true
		w.wake(false)
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

// wait returns true once w is granted, and false when it is to yield while it
// waits for that. The error is the cause of ctx's end; then w is out of the
// queue.
func (r *Route) wait(ctx context.Context, w *waiter) (granted bool, err error) {
	select {
	case granted = <-w.ready:
		return granted, nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.granted { // at the same moment: it is ours
		<-w.ready
		return true, nil
	}
	r.leave(w)
	return false, context.Cause(ctx)
}

// leave takes a waiter that gives up out of its queue. It is called with r.mu
// held.
func (r *Route) leave(w *waiter) {
	now := time.Now()
	w.in.waiting.Remove(w, byNumber)
	if a := w.attempt; a != nil && a.sender != nil {
		if a.sender.first == w {
			a.sender.first = nil
		}
		r.nextOf(now, a.sender)
	}
	r.grant(now) // it may have stood in front of somebody who fits
}
