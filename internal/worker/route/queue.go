package route

import "slices"

// queue holds those who wait, in the order in which they first asked. The zero
// queue is ready for use.
type queue struct {
	waiting []*waiter
	first   int // index of the first in waiting: popping must not copy
}

// waiter is a call that waits to be started, or an attempt to be admitted.
type waiter struct {
	attempt *Attempt // nil for a call that waits to be started
	calls   int      // of it
	call    Call     // that was started
	number  int      // in the order of asking
	granted bool
	gone    bool          // gave up; skipped when it comes first
	yields  bool          // lets others be worked on while it waits
	ready   chan struct{} // has a token when it is granted, or is to yield
}

// join has w wait: behind those who asked before, and before those who asked
// later, where it has waited already.
func (q *queue) join(w *waiter) {
	w.granted = false
	select {
	case <-w.ready: // of the last time
	default:
	}
	at, _ := slices.BinarySearchFunc(q.waiting[q.first:], w.number, func(w *waiter, n int) int { return w.number - n })
	q.waiting = slices.Insert(q.waiting, q.first+at, w)
}

// head returns the first waiter that is still there, or nil.
func (q *queue) head() *waiter {
	for q.first < len(q.waiting) {
		if w := q.waiting[q.first]; !w.gone {
			return w
		}
		q.pop()
	}
	return nil
}

// grant grants the head's wish.
func (q *queue) grant() {
	w := q.pop()
	w.granted = true
	w.wake()
}

// yield tells all waiters to let others be worked on.
func (q *queue) yield() {
	for _, w := range q.waiting[q.first:] {
		if !w.yields && !w.gone {
			w.yields = true
			w.wake()
		}
	}
}

func (w *waiter) wake() {
	select {
	case w.ready <- struct{}{}:
	default: // it has not looked since the last time, and will
	}
}

func (q *queue) pop() *waiter {
	w := q.waiting[q.first]
	q.waiting[q.first] = nil
	q.first++
	switch {
	case q.first == len(q.waiting):
		q.waiting, q.first = q.waiting[:0], 0
	case q.first > 1024 && q.first > len(q.waiting)/2:
		q.waiting = append(q.waiting[:0], q.waiting[q.first:]...)
		q.first = 0
	}
	return w
}
