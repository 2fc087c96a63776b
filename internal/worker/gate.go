package worker

import (
	"context"
	"sync"
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

	mu     sync.Mutex
	slots  queue // provider calls under way
	ahead  queue // calls whose attempt is published and that have no slot yet
	starts rate
}

// NewGate makes a gate of that many slots, at least one.
func NewGate(concurrency int) *Gate { return &Gate{concurrency: max(1, concurrency)} }

// Ahead waits until an attempt with that many provider calls may be published.
// Each call then takes a Slot; calls that are given up go back by Withdraw.
func (g *Gate) Ahead(ctx context.Context, calls int) error {
	return g.wait(ctx, &g.ahead, calls)
}

// Withdraw gives back what Ahead granted and no Slot was taken for.
func (g *Gate) Withdraw(calls int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ahead.held -= calls
	g.grant()
}

// Slot waits for a slot of a call that was granted Ahead. Release returns it.
func (g *Gate) Slot(ctx context.Context) error {
	return g.wait(ctx, &g.slots, 1)
}

// Release returns the slot of a call that has ended.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slots.held--
	g.grant()
}

// InFlight returns how many provider calls are under way.
func (g *Gate) InFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slots.held
}

func (g *Gate) wait(ctx context.Context, q *queue, n int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g.mu.Lock()
	w := q.join(n)
	g.grant()
	if w.granted {
		g.mu.Unlock()
		return nil
	}
	w.ready = make(chan struct{})
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.granted { // the place came at the same moment: it is ours
		return nil
	}
	w.gone = true
	g.grant() // we may have stood in front of somebody who fits
	return context.Cause(ctx)
}

// grant hands out what is free. It is called with g.mu held.
func (g *Gate) grant() {
	for g.slots.head() != nil && g.slots.held < g.concurrency {
		g.slots.pop()
		g.ahead.held--
		g.starts.add(time.Now())
	}
	for w := g.ahead.head(); w != nil; w = g.ahead.head() {
		// A message with more calls than may be ahead goes when it is alone.
		if g.ahead.held > 0 && g.ahead.held+w.n > g.limit() {
			return
		}
		g.ahead.pop()
	}
}

// limit is how many calls may be ahead now: those that can start at once, and
// as many as have started in the last lookAhead, at least a quarter of the
// concurrency. What has just started is the best guess of what can.
func (g *Gate) limit() int {
	free := g.concurrency - g.slots.held
	return max(free+g.starts.recent(time.Now()), g.concurrency/4, 1)
}

// queue is a semaphore's state with its waiters in the order of asking.
type queue struct {
	held    int
	waiting []*waiter
	first   int // index of the first in waiting: popping must not copy
}

type waiter struct {
	n       int
	granted bool
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

// rate counts events of the last lookAhead in four buckets.
type rate struct {
	counts [4]int
	bucket int64 // number of the newest bucket since the zero time of the clock
}

const bucketLength = lookAhead / 4

func (r *rate) add(now time.Time) {
	r.turn(now)
	r.counts[r.bucket%4]++
}

func (r *rate) recent(now time.Time) int {
	r.turn(now)
	return r.counts[0] + r.counts[1] + r.counts[2] + r.counts[3]
}

// turn empties the buckets that time has passed over.
func (r *rate) turn(now time.Time) {
	bucket := now.UnixNano() / int64(bucketLength)
	if bucket-r.bucket >= 4 || bucket < r.bucket { // long ago, or the clock was set back
		r.counts, r.bucket = [4]int{}, bucket
		return
	}
	for r.bucket < bucket {
		r.bucket++
		r.counts[r.bucket%4] = 0
	}
}
