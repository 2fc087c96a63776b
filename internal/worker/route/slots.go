package route

import "time"

// A message's attempt must be known to Kafka before its provider call starts,
// and the wait for that acknowledgement must not cost a slot. So messages run
// ahead: they publish their attempt while the slots are still taken. But an
// attempt that is published and not made is what a crash turns into a doubt,
// so only few may: as many as can start at once or in the next 20 ms.

// lookAhead is the time that published attempts may be ahead of their calls.
const lookAhead = 20 * time.Millisecond

// slots counts calls. It is pure: its owner locks it, and tells the time.
type slots struct {
	concurrency int // calls under way at most
	bound       int // as many as the provider takes at present
	allowed     int // as many as the breaker lets in, old ones not counted
	eased       int // as many as the last pause lets in by now, likewise
	generation  int // raised with each pause
	old         int // calls under way of earlier generations: they may hang
	calls       int // under way
	ahead       int // published, or being so, and not started

	began tally    // calls
	ends  forecast // of calls under way
}

func newSlots(concurrency int) slots {
	return slots{concurrency: concurrency, bound: concurrency, allowed: concurrency, eased: concurrency}
}

// Call is a provider call that has a slot.
type Call struct {
	attempt    *Attempt
	recipients []int
	started    time.Time
	due        int64 // the bucket of time in which it is expected to end
	generation int
}

// take takes a slot for a call that is ahead.
func (s *slots) take(now time.Time) Call {
	s.ahead--
	s.calls++
	s.began.add(now)
	return Call{started: now, due: s.ends.expect(now), generation: s.generation}
}

// untake gives the slot of a call back that was not made and is ahead again.
func (s *slots) untake(c Call) {
	s.ends.withdraw(c.due)
	s.vacate(c)
	s.ahead++
}

// ended gives the slot of a call back that has ended.
func (s *slots) ended(now time.Time, c Call) {
	s.ends.ended(c.due, now.Sub(c.started))
	s.vacate(c)
}

func (s *slots) vacate(c Call) {
	s.calls--
	if c.generation != s.generation {
		s.old--
	}
}

// nextGeneration takes all calls under way for old ones.
func (s *slots) nextGeneration() {
	s.generation++
	s.old = s.calls
}

// ease lets one more call be under way, for one that was answered by a provider
// that does not find us too fast.
func (s *slots) ease(c Call) {
	if c.generation == s.generation {
		s.eased = min(s.eased+1, s.concurrency)
	}
}

// free is how many slots may be taken now.
func (s *slots) free() int {
	return min(s.bound-s.calls, min(s.allowed, s.eased)-(s.calls-s.old))
}

// leastAhead is how many calls may be ahead however long the others take.
func (s *slots) leastAhead() int { return max(min(s.allowed, s.eased, s.bound)/4, 1) }

// startable is how many calls can start at once or probably in lookAhead.
//
// Where calls are shorter than lookAhead, what started in the last one is the
// best guess of what can start in the next. Longer calls are expected to end
// when most others did: calls that began together end together, and behind
// them all places ahead are needed at once.
func (s *slots) startable(now time.Time) int {
	if s.ends.typical < lookAhead {
		return s.free() + s.began.recent(now)
	}
	return s.free() + s.ends.soon(now)
}

// moreWithTime reports whether time alone may raise startable, and not only
// the end of a call.
func (s *slots) moreWithTime(now time.Time) bool {
	return s.ends.typical >= lookAhead && s.ends.beyond(now)
}
