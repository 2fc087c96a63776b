// Package route decides when one provider account may be called.
//
// An attempt of a message takes three steps. Admit waits until the attempt may
// be published, and counts its calls as ahead: published and not started.
// Start waits for a slot of one of its calls. End gives the slot back and says
// how the call ended, from which the route learns.
//
//	          Admit            Start             End
//	message ────────► ahead ─────────► under way ────► slot is free
//	                    │ ▲                │
//	           Withdraw ▼ └────────────────┘ the call was not made
//
// What holds at every moment:
//
//   - No call starts while Concurrency calls are under way, nor while as many
//     are as a breaker that is half open, or a provider that found us too fast,
//     lets be. Calls that began before a pause may hang, and count for the
//     first bound alone.
//   - While the route is paused no attempt is admitted and no call starts.
//   - Calls start in the order in which Start was asked, attempts are admitted
//     in the order in which Admit was; with a rate for each sender, in that
//     order among the messages of one sender.
//   - A slot is taken together with a token of each rate. Who waits for a rate
//     has no slot, and few attempts are admitted ahead of what a rate lets
//     start. A call that is not made gives its tokens back.
//   - Every admitted call is started or withdrawn, exactly once.
package route

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options of a Route. Concurrency is at least one.
type Options struct {
	Concurrency int // calls under way at most
	Rates       Rates
	Breaker     Breaker
	Log         zerolog.Logger
}

// Route is one provider account. It is safe for concurrent use.
type Route struct {
	mu sync.Mutex
	slots

	pausedUntil time.Time
	opened      chan struct{} // closed when the pause ends; nil while there is none
	starts      queue         // calls that wait to be started
	admits      queue         // attempts that wait to be admitted
	asked       int           // how many have waited in a queue so far
	timer       *time.Timer   // updates the route; nil before the first use
	timerAt     time.Time     // zero while the timer is not set

	provider, group *bucket // nil: no limit
	senderRate      float64 // zero: no limit
	groupRate       float64
	senders         map[string]*sender

	throttle  throttle  // of the provider
	throttles throttles // of senders and pairs

	breaker breaker
	ended   context.Context //nolint:containedctx // one that has ended, for certain
}

// New makes a route. Its breaker does nothing without Run.
func New(o Options) *Route {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	r := &Route{slots: newSlots(max(1, o.Concurrency)), ended: ended}
	r.limitRates(o.Rates)
	r.breaker = newBreaker(r, o.Breaker, o.Log)
	return r
}

// Concurrency returns how many calls may be under way when nothing is wrong:
// as many as there are slots, or as the provider takes where those are fewer.
func (r *Route) Concurrency() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bound
}

// Bound says how many calls at once the provider takes at present, at least
// one. However many slots there are, no call starts beyond it. Calls under way
// go on.
func (r *Route) Bound(calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bound = min(max(1, calls), r.concurrency)
	r.update(time.Now())
}

// InFlight returns how many calls are under way.
func (r *Route) InFlight() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// Pause lets no call start and no attempt be admitted before then, where that
// is later than what was said before, and afterwards one call at once, and one
// more with each that ends without being told that we are too fast. Calls
// under way go on.
func (r *Route) Pause(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pause(time.Now(), until)
}

// pause is Pause. It is called with r.mu held.
func (r *Route) pause(now, until time.Time) {
	if !until.After(r.pausedUntil) {
		return
	}
	if !now.Before(r.pausedUntil) {
		r.nextGeneration()
	}
	r.pausedUntil, r.eased = until, 1
	r.update(now)
}

// limit lets at most that many calls be under way; 0 pauses the route. It is
// called with r.mu held.
func (r *Route) limit(calls int) {
	r.allowed = min(calls, r.concurrency)
	r.update(time.Now())
}

// update begins or ends the pause as the limits say, and grants what is free.
// It is called with r.mu held, after each change but the start and the end of
// a call.
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

// updateAt has the route updated at a later time, or sooner. It is called with
// r.mu held.
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

// grant hands out what is free, in the order of asking. It is called with r.mu
// held.
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
	if wait > 0 && wait < never {
		r.updateAt(now, now.Add(wait))
	}
	return wait == 0
}

// start takes a slot and its tokens for a call that is ahead.
func (r *Route) start(now time.Time) Call {
	r.provider.take(1)
	r.group.take(1)
	return r.slots.start(now)
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
		s.take(1)
		s.first = nil
		r.nextOf(now, s)
	}
}

// newWaiter returns who waits behind all others. It is called with r.mu held.
func (r *Route) newWaiter() *waiter {
	r.asked++
	return &waiter{number: r.asked, ready: make(chan bool, 1)}
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
