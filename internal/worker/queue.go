package worker

// queue is a semaphore's state with its waiters in the order of asking.
type queue struct {
	held    int
	waiting []*waiter
	first   int // index of the first in waiting: popping must not copy
}

type waiter struct {
	n       int
	granted bool
	ticket  Ticket        // of a granted slot
	gone    bool          // gave up; skipped when its turn comes
	ready   chan struct{} // nil when granted at once
}

func (q *queue) join(n int) *waiter {
	w := &waiter{n: n}
	q.waiting = append(q.waiting, w)
	return w
}

// head returns the first waiter that is still there, or nil.
func (q *queue) head() *waiter {
	for q.first < len(q.waiting) {
		if w := q.waiting[q.first]; !w.gone {
			return w
		}
		q.skip()
	}
	return nil
}

// turnAway lets all waiters go without what they wish.
func (q *queue) turnAway() {
	for w := q.head(); w != nil; w = q.head() {
		w.gone = true
		if w.ready != nil {
			close(w.ready)
		}
		q.skip()
	}
}

// pop grants the head's wish.
func (q *queue) pop() {
	w := q.waiting[q.first]
	q.skip()
	q.held += w.n
	w.granted = true
	if w.ready != nil {
		close(w.ready)
	}
}

func (q *queue) skip() {
	q.waiting[q.first] = nil
	q.first++
	switch {
	case q.first == len(q.waiting):
		q.waiting, q.first = q.waiting[:0], 0
	case q.first > 1024 && q.first > len(q.waiting)/2:
		q.waiting = append(q.waiting[:0], q.waiting[q.first:]...)
		q.first = 0
	}
}
