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
	attempt *Attempt // that waits, or whose call does
	calls   int      // to be admitted; 0 where a call waits to be started
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

// newWaiter returns who waits behind all others: for so many calls of a to be
// admitted, or with 0 for one to be started. It goes back to r.waiters once it
// is granted. It is called with r.mu held.
func (r *Route) newWaiter(a *Attempt, calls int) *waiter {
	r.asked++
	w, ok := r.waiters.Get().(*waiter)
	if !ok {
		w = &waiter{ready: make(chan bool, 1)}
	}
	*w = waiter{attempt: a, calls: calls, number: r.asked, ready: w.ready}
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
	if s := w.attempt.sender; s != nil {
		if s.first == w {
			s.first = nil
		}
		r.nextOf(now, s)
	}
	r.grant(now) // it may have stood in front of somebody who fits
}

// update begins or ends the pause as the limits say, and grants what is free.
// It follows each change but the start and the end of a call.
func (r *Route) update(now time.Time) {
	paused := r.allowed == 0 || now.Before(r.pausedUntil)
	switch {
	case paused && r.opened == nil:
		r.opened = make(chan struct{})
		r.admits.yield()
	case !paused && r.opened != nil:
		close(r.opened)
		r.opened = nil
	}
	if now.Before(r.pausedUntil) {
		r.updateAt(now, r.pausedUntil)
	}
	r.grant(now)
}

// updateAt has the route updated at a later time, or sooner.
func (r *Route) updateAt(now, at time.Time) {
	if !r.timerAt.IsZero() && !at.Before(r.timerAt) {
		return // when that is over, it is seen what else is to come
	}
	r.timerAt = at
	if r.timer != nil {
		r.timer.Reset(at.Sub(now))
		return
	}
	r.timer = time.AfterFunc(at.Sub(now), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.timerAt = time.Time{}
		r.update(time.Now())
	})
}

// grant hands out what is free, in the order of asking.
func (r *Route) grant(now time.Time) {
	if r.opened != nil {
		return
	}
	for lane, ok := r.nextStart(); ok && r.mayStart(now, lane); lane, ok = r.nextStart() {
		w := r.starts[lane].head()
		w.call = r.start(now, w.attempt)
		r.starts[lane].grant()
	}
	for lane := 0; lane < lanes; {
		if r.admitNext(now, lane) {
			lane = 0 // the sender's next may be of a lane above
		} else {
			lane++
		}
	}
}

// admitNext admits the first of a lane, or has it give way, and reports whether
// it did.
func (r *Route) admitNext(now time.Time, lane int) bool {
	w := r.admits[lane].head()
	switch {
	case w == nil:
		return false
	case r.mayAdmit(now, w.attempt, w.calls):
		r.admits[lane].grant()
		r.admitted(now, w.attempt, w.calls)
		return true
	}
	s := w.attempt.sender
	if r.freeFor(lane) > 0 || !s.outranked() {
		return false
	}
	s.giveWay()
	r.nextOf(now, s)
	return true
}

// mayStart reports whether a slot is free for a lane and a token there for it.
func (r *Route) mayStart(now time.Time, lane int) bool {
	if r.freeFor(lane) <= 0 {
		return false
	}
	wait := max(r.provider.wait(now), r.group.wait(now))
	if wait > 0 {
		r.updateAt(now, now.Add(wait))
	}
	return wait == 0
}

// start takes a slot and its tokens for a call of a that is ahead.
func (r *Route) start(now time.Time, a *Attempt) Call {
	r.provider.take(now)
	r.group.take(now)
	r.shares.granted(a.rank(), r.waiting())
	return r.take(now, a)
}

// mayAdmit reports whether so many more calls of a may be ahead.
func (r *Route) mayAdmit(now time.Time, a *Attempt, calls int) bool {
	lane := a.rank()
	if r.ahead[lane] == 0 {
		return true // a message with more calls than may be ahead goes when it is alone
	}
	soon := min(r.startable(now, lane), r.provider.within(now, lookAhead), r.group.within(now, lookAhead))
	if r.ahead[lane]+calls <= r.roomAhead(lane, max(soon, r.leastAhead())) {
		return true
	}
	if r.moreWithTime(now) {
		r.updateAt(now, now.Add(bucketLength))
	}
	return false
}

// admitted counts calls of a as ahead, for one of which its sender has given a
// token where it has a rate.
func (r *Route) admitted(now time.Time, a *Attempt, calls int) {
	r.ahead[a.rank()] += calls
	a.admitted += calls
	if s := a.sender; s != nil {
		s.take(now)
		s.shares.granted(a.rank(), s.waits())
		s.first = nil
		r.nextOf(now, s)
	}
}
