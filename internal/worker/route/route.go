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
//   - Within a lane calls start in the order in which Start was asked, and
//     attempts are admitted in the order in which Admit was; with a rate for
//     each sender, in that order among the messages of one sender.
//   - A call of an urgent lane goes before those of the lower lanes. These have
//     no more than the slots less Reserved under way, and each gets LowerShare
//     of any hundred starts during which it waits and has a slot to take.
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
	Reserved    int // of them, that calls of the lower lanes leave free; below Concurrency

	// LowerShare is the least part of the starts that each lower lane gets
	// while it waits, 0 to 0.3.
	LowerShare float64

	Rates   Rates
	Breaker Breaker
	Log     zerolog.Logger
}

// Route is one provider account. It is safe for concurrent use.
type Route struct {
	mu sync.Mutex // guards everything here; held by who calls a method that takes the time now
	slots

	pausedUntil time.Time
	opened      chan struct{} // closed when the pause ends; nil while there is none
	timer       *time.Timer   // updates the route; nil before the first use
	timerAt     time.Time     // zero while the timer is not set

	starts  laneQueues // calls that wait to be started
	admits  laneQueues // attempts that wait to be admitted
	shares  shares     // of the starts
	asked   int        // how many have waited in a queue so far
	waiters sync.Pool

	provider, group *bucket // nil: no limit
	senderRate      float64 // zero: no limit
	groupRate       float64 // zero: no limit
	groupPart       float64 // of it, that is ours
	senders         map[string]*sender

	throttle  throttle  // of the provider
	throttles throttles // of senders and pairs

	breaker breaker
	over    context.Context //nolint:containedctx // one that has ended, for certain
}

// New makes a route. Its breaker does nothing without Run.
func New(o Options) *Route {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	r := &Route{
		slots: newSlots(max(1, o.Concurrency), o.Reserved), throttles: throttles{of: map[string]*throttle{}},
		shares:     newShares(o.LowerShare),
		senderRate: o.Rates.Sender, senders: map[string]*sender{}, over: over,
	}
	now := time.Now()
	if o.Rates.Provider > 0 {
		r.provider = newBucket(now, o.Rates.Provider)
	}
	r.SetGroupRate(o.Rates.Group)
	r.breaker = newBreaker(r, o.Breaker, o.Log)
	return r
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

// pause is Pause.
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
