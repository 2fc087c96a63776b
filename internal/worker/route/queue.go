package route

import (
	"cmp"

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
