package route

import "time"

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
	for w := r.starts.head(); w != nil && r.mayStart(now); w = r.starts.head() {
		w.call = r.start(now)
		r.starts.grant()
	}
	for w := r.admits.head(); w != nil && r.mayAdmit(now, w.calls); w = r.admits.head() {
		r.admits.grant()
		r.admitted(now, w.attempt, w.calls)
	}
}

// mayStart reports whether a slot is free and a token there for it.
func (r *Route) mayStart(now time.Time) bool {
	if r.free() <= 0 {
		return false
	}
	wait := max(r.provider.wait(now), r.group.wait(now))
	if wait > 0 {
		r.updateAt(now, now.Add(wait))
	}
	return wait == 0
}

// start takes a slot and its tokens for a call that is ahead.
func (r *Route) start(now time.Time) Call {
	r.provider.take(now)
	r.group.take(now)
	return r.take(now)
}

// mayAdmit reports whether so many more calls may be ahead.
func (r *Route) mayAdmit(now time.Time, calls int) bool {
	if r.ahead == 0 {
		return true // a message with more calls than may be ahead goes when it is alone
	}
	soon := min(r.startable(now), r.provider.within(now, lookAhead), r.group.within(now, lookAhead))
	if r.ahead+calls <= max(soon, r.leastAhead()) {
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
	r.ahead += calls
	a.admitted += calls
	if s := a.sender; s != nil {
		s.take(now)
		s.first = nil
		r.nextOf(now, s)
	}
}
