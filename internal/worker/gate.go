package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// A message's attempt must be known to Kafka before its provider call starts,
// and the wait for that acknowledgement must not cost a slot. So messages run
// ahead: they publish their attempt while the slots are still taken. But an
// attempt that is published and not made is what a crash turns into a doubt,
// so only few may: as many as can start at once or in the next 20 ms.

// lookAhead is the time that published attempts may be ahead of their calls.
const lookAhead = 20 * time.Millisecond

// Gate decides when a provider call may start. Places are handed on in the
// order of asking, one waiter at a time. It is safe for concurrent use.
type Gate struct {
	concurrency int
	easing      atomic.Bool // eased is below concurrency

	mu      sync.Mutex
	allowed int           // how many slots may be taken, old ones not counted
	eased   int           // how many since the last hold, likewise
	bound   int           // how many slots may be taken, old ones counted
	stage   int           // raised when allowed becomes 0, and with each hold
	old     int           // slots taken in an earlier stage: their calls may hang
	held    time.Time     // no call starts before
	open    *time.Timer   // opens the gate then; nil before the first Hold
	shut    chan struct{} // closed when the gate opens; nil while it is open

	slots  queue // provider calls under way
	ahead  queue // calls whose attempt is published and that have no slot yet
	starts tally
	ends   forecast
	look   *time.Timer // looks again when a forecast comes near; nil before the first
}

// NewGate makes a gate of that many slots, at least one.
func NewGate(concurrency int) *Gate {
	concurrency = max(1, concurrency)
	return &Gate{concurrency: concurrency, allowed: concurrency, eased: concurrency, bound: concurrency}
}

// Concurrency returns how many calls may be under way when nothing is wrong:
// as many as there are slots, or as the provider takes where those are fewer.
func (g *Gate) Concurrency() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bound
}

// Bound is told how many calls at once the provider takes at present, at least
// one, and lets at most that many be under way, however many slots there are.
// Calls under way go on.
func (g *Gate) Bound(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bound = min(max(1, calls), g.concurrency)
	g.turn()
}

// Ticket is a slot that is taken.
type Ticket struct {
	started time.Time
	due     int64 // the bucket in which the call was expected to end
	stage   int
}

// Ahead waits until an attempt with that many provider calls may be published.
// Each call then takes a Slot; calls that are given up go back by Withdraw. It
// returns errShut while the gate is shut.
func (g *Gate) Ahead(ctx context.Context, calls int) error {
	_, err := g.wait(ctx, &g.ahead, calls)
	return err
}

// Withdraw gives back what Ahead granted and no Slot was taken for.
func (g *Gate) Withdraw(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ahead.held -= calls
	g.grant()
}

// Slot waits for a slot of a call that was granted Ahead. Release returns it.
func (g *Gate) Slot(ctx context.Context) (Ticket, error) {
	w, err := g.wait(ctx, &g.slots, 1)
	if err != nil {
		return Ticket{}, err
	}
	return w.ticket, nil
}

// Release returns the slot of a call that has ended.
func (g *Gate) Release(t Ticket) {
	length := time.Since(t.started)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends.ended(t.due, length)
	g.vacate(t)
	g.grant()
}

// errShut means that no attempt may be published: wait for Opened.
var errShut = errors.New("the provider is paused")

// Hold lets no call start and no attempt be published before then, where that
// is later than what was said before, and afterwards one call at once, and one
// more with each that Ease is told of. Calls under way go on, and do not count
// then, but against the concurrency.
func (g *Gate) Hold(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !until.After(g.held) {
		return
	}
	if !time.Now().Before(g.held) {
		g.nextStage()
	}
	g.held, g.eased = until, 1
	g.easing.Store(true)
	if g.open == nil {
		g.open = time.AfterFunc(time.Until(until), func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.turn()
		})
	} else {
		g.open.Reset(time.Until(until))
	}
	g.turn()
}

// Limit lets at most that many calls be under way, and for 0 no attempt be
// published. What is under way at 0 goes on, and does not count later, but
// against the concurrency.
func (g *Gate) Limit(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if calls == 0 {
		g.nextStage()
	}
	g.allowed = min(calls, g.concurrency)
	g.turn()
}

// nextStage takes all calls under way for old ones. It is called with g.mu held.
func (g *Gate) nextStage() {
	g.stage++
	g.old = g.slots.held
}

// Ease is told that the call with that ticket was answered by a provider that
// does not find us too fast.
func (g *Gate) Ease(t Ticket) {
	if !g.easing.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.stage != g.stage {
		return // it began before the hold
	}
	g.eased = min(g.eased+1, g.concurrency)
	g.easing.Store(g.eased < g.concurrency)
	g.turn()
}

// turn shuts or opens the gate as its limits say. It is called with g.mu held.
func (g *Gate) turn() {
	shut := g.allowed == 0 || time.Now().Before(g.held)
	switch {
	case shut && g.shut == nil:
		g.shut = make(chan struct{})
		g.ahead.turnAway()
	case !shut && g.shut != nil:
		close(g.shut)
		g.shut = nil
	}
	if !shut {
		g.grant()
	}
}

// Opened returns nil once attempts may be published, or the cause of ctx's
// end.
func (g *Gate) Opened(ctx context.Context) error {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return nil
		}
		select {
		case <-shut:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Shut reports whether no call may start.
func (g *Gate) Shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// Return gives back the slot of a call that was not made, which is ahead
// again.
func (g *Gate) Return(t Ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ends.never(t.due)
	g.vacate(t)
	g.ahead.held++
	g.grant()
}

// InFlight returns how many provider calls are under way.
func (g *Gate) InFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slots.held
}

func (g *Gate) wait(ctx context.Context, q *queue, n int) (*waiter, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	g.mu.Lock()
	if q == &g.ahead && g.shut != nil {
		g.mu.Unlock()
		return nil, errShut
	}
	w := q.join(n)
	g.grant()
	if w.granted {
		g.mu.Unlock()
		return w, nil
	}
	w.ready = make(chan struct{})
	g.mu.Unlock()
	select {
	case <-w.ready:
		if !w.granted {
			return nil, errShut
		}
		return w, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.granted { // the place came at the same moment: it is ours
		return w, nil
	}
	w.gone = true
	g.grant() // we may have stood in front of somebody who fits
	return nil, context.Cause(ctx)
}

// grant hands out what is free. It is called with g.mu held.
func (g *Gate) grant() {
	if g.shut != nil {
		return
	}
	for g.slots.head() != nil && g.free() > 0 {
		now := time.Now()
		g.slots.head().ticket = Ticket{started: now, due: g.ends.expect(now), stage: g.stage}
		g.slots.pop()
		g.ahead.held--
		g.starts.add(now)
	}
	for w := g.ahead.head(); w != nil; w = g.ahead.head() {
		// A message with more calls than may be ahead goes when it is alone.
		if g.ahead.held > 0 && g.ahead.held+w.n > g.limit() {
			g.lookAgain()
			return
		}
		g.ahead.pop()
	}
}

// free is how many slots may be taken now.
func (g *Gate) free() int {
	return min(g.bound-g.slots.held, min(g.allowed, g.eased)-(g.slots.held-g.old))
}

// vacate gives a slot back.
func (g *Gate) vacate(t Ticket) {
	g.slots.held--
	if t.stage != g.stage {
		g.old--
	}
}

// limit is how many calls may be ahead now: those that can start at once, and
// those that probably can in lookAhead, at least a quarter of the concurrency.
//
// Where calls are shorter than lookAhead, what started in the last one is the
// best guess of what can start in the next. Longer calls are expected to end
// when most others did: calls that began together end together, and behind
// them all places ahead are needed at once.
func (g *Gate) limit() int {
	free, now := g.free(), time.Now()
	soon := 0
	if g.ends.typical < lookAhead {
		soon = g.starts.recent(now)
	} else {
		soon = g.ends.soon(now)
	}
	return max(free+soon, min(g.allowed, g.eased, g.bound)/4, 1)
}

// lookAgain has the gate look once more when time alone may have raised the
// limit. It is called with g.mu held.
func (g *Gate) lookAgain() {
	if g.ends.typical < lookAhead || !g.ends.beyond(time.Now()) {
		return // only the end of a call can
	}
	if g.look != nil {
		g.look.Reset(bucketLength)
		return
	}
	g.look = time.AfterFunc(bucketLength, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.grant()
	})
}
