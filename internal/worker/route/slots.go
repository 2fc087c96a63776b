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
	lower       int // of them, those of the lower lanes
	reserved    int // slots that the lower lanes leave free

	ahead [lanes]int // calls published, or being so, and not started

	began tally    // calls
	ends  forecast // of calls under way
}

func newSlots(concurrency, reserved int) slots {
	return slots{concurrency: concurrency, bound: concurrency, allowed: concurrency, eased: concurrency, reserved: reserved}
}

// Call is a provider call that has a slot.
type Call struct {
	attempt    *Attempt
	recipients []int
	started    time.Time
	due        int64 // the bucket of time in which it is expected to end
	generation int
}

// take takes a slot for a call of a that is ahead.
func (s *slots) take(now time.Time, a *Attempt) Call {
	s.ahead[a.rank()]--
	s.calls++
	if a.rank() > 0 {
		s.lower++
	}
	s.began.add(now)
	return Call{attempt: a, started: now, due: s.ends.expect(now), generation: s.generation}
}

// untake gives the slot of a call back that was not made and is ahead again.
func (s *slots) untake(c Call) {
	s.ends.withdraw(c.due)
	s.vacate(c)
	s.ahead[c.attempt.rank()]++
}

// ended gives the slot of a call back that has ended.
func (s *slots) ended(now time.Time, c Call) {
	s.ends.ended(c.due, now.Sub(c.started))
	s.vacate(c)
}

func (s *slots) vacate(c Call) {
	s.calls--
	if c.attempt.rank() > 0 {
		s.lower--
	}
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

// freeFor is how many of them a lane may take. However few the provider takes,
// the lower lanes have one.
func (s *slots) freeFor(lane int) int {
	if lane == 0 {
		return s.free()
	}
	return min(s.free(), max(s.bound-s.reserved, 1)-s.lower)
}

// leastAhead is how many calls may be ahead however long the others take.
func (s *slots) leastAhead() int { return max(min(s.allowed, s.eased, s.bound)/4, 1) }

// startable is how many calls of a lane can start at once or probably in
// lookAhead.
//
// Where calls are shorter than lookAhead, what started in the last one is the
// best guess of what can start in the next. Longer calls are expected to end
// when most others did: calls that began together end together, and behind
// them all places ahead are needed at once.
func (s *slots) startable(now time.Time, lane int) int {
	if s.ends.typical < lookAhead {
		return s.freeFor(lane) + s.began.recent(now)
	}
	return s.freeFor(lane) + s.ends.soon(now)
}

// moreWithTime reports whether time alone may raise startable, and not only
// the end of a call.
func (s *slots) moreWithTime(now time.Time) bool {
	return s.ends.typical >= lookAhead && s.ends.beyond(now)
}

// forecast says how many of the calls under way will end soon, from how long
// most calls take. It counts them in buckets of bucketLength by the time that
// each is expected to end.
type forecast struct {
	typical time.Duration    // wanders about the median of the calls' lengths
	latest  int64            // the last bucket in which a call was expected to end
	buckets [forecasts]int32 // by bucket number modulo the array's length
}

// forecasts is the farthest forecast, in buckets: some twenty seconds. Calls
// that take longer are expected then, and no throughput hangs on the error.
const forecasts = 1 << 12

// expect notes a call that starts now.
func (f *forecast) expect(now time.Time) (due int64) {
	ahead := min(f.typical/bucketLength, forecasts-16)
	due = now.UnixNano()/int64(bucketLength) + int64(ahead)
	f.buckets[due%forecasts]++
	f.latest = max(f.latest, due)
	return due
}

// withdraw notes that an expected call was not made.
func (f *forecast) withdraw(due int64) { f.buckets[due%forecasts]-- }

// ended notes that an expected call has ended after that time.
func (f *forecast) ended(due int64, length time.Duration) {
	f.withdraw(due)
	// Up and down by the same share: the value where as many calls are longer
	// as are shorter. A few calls that hang do not move it.
	step := max(f.typical/16, 10*time.Microsecond)
	if length > f.typical {
		f.typical = min(f.typical+step, length)
	} else {
		f.typical = max(f.typical-step, length)
	}
}

// nearby is lookAhead in buckets.
const nearby = int64(lookAhead / bucketLength)

// beyond reports whether calls may be expected to end later than soon.
func (f *forecast) beyond(now time.Time) bool {
	return f.latest > now.UnixNano()/int64(bucketLength)+nearby
}

// soon returns how many calls are expected to end in the next lookAhead, or
// are overdue by no more than that: what is later still has no forecast.
func (f *forecast) soon(now time.Time) int {
	bucket := now.UnixNano() / int64(bucketLength)
	n := int32(0)
	for b := bucket - nearby; b <= bucket+nearby; b++ {
		n += f.buckets[b%forecasts]
	}
	return int(n)
}

// tally counts events of the last lookAhead in four buckets.
type tally struct {
	counts [4]int
	bucket int64 // number of the newest bucket since the zero time of the clock
}

const bucketLength = lookAhead / 4

func (r *tally) add(now time.Time) {
	r.rotate(now)
	r.counts[r.bucket%4]++
}

func (r *tally) recent(now time.Time) int {
	r.rotate(now)
	return r.counts[0] + r.counts[1] + r.counts[2] + r.counts[3]
}

// rotate empties the buckets that time has passed over.
func (r *tally) rotate(now time.Time) {
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
