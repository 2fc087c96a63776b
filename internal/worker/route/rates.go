package route

import (
	"math"
	"slices"
	"time"

	"messaging-worker/internal/adapters/common"
)

// Rates are limits of provider calls started a second; zero means none.
type Rates struct {
	Provider float64 // of the process, one second's worth at once
	Sender   float64 // of each sender, one second's worth at once
	Group    float64 // of all workers of the consumer group together
}

// groupBurst is how much of its share a worker may start at once. The bursts
// of all workers add up, so it is short.
const groupBurst = 50 * time.Millisecond

// Share sets this worker's part of the group's rate, 0 to 1 and at first 0: the
// part of the request partitions that it owns. Who lowers it before a partition
// is given up, and raises it when one was assigned, keeps the sum below the rate.
func (r *Route) Share(part float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groupPart = part
	r.limitGroup(time.Now())
}

// SetGroupRate replaces the group's rate; 0 means no limit. The share stays.
func (r *Route) SetGroupRate(perSecond float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case perSecond <= 0:
		r.group = nil
	case r.group == nil:
		r.group = &bucket{at: now}
	}
	r.groupRate = perSecond
	r.limitGroup(now)
}

// limitGroup applies our part of the group's rate.
func (r *Route) limitGroup(now time.Time) {
	if r.group != nil {
		r.group.set(now, r.groupRate*r.groupPart, groupBurst)
	}
	r.update(now)
}

// bucket is a token bucket. A nil bucket limits nothing.
type bucket struct {
	perSecond float64
	burst     float64
	tokens    float64   // at that time
	at        time.Time // never set back
}

// newBucket makes a full bucket of one second's worth.
func newBucket(now time.Time, perSecond float64) *bucket {
	b := &bucket{at: now}
	b.set(now, perSecond, time.Second)
	b.tokens = b.burst
	return b
}

// set changes the rate, and how much of it may start at once: at least one.
func (b *bucket) set(now time.Time, perSecond float64, atOnce time.Duration) {
	b.fill(now)
	b.perSecond, b.burst = perSecond, max(1, math.Floor(perSecond*atOnce.Seconds()))
	b.tokens = min(b.tokens, b.burst)
}

func (b *bucket) fill(now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens, b.at = min(b.burst, b.tokens+passed.Seconds()*b.perSecond), now
	}
}

// maxWait is after how long at most a bucket that is empty is looked at again.
const maxWait = time.Hour

// wait returns how long it takes until there is a token, at most maxWait.
func (b *bucket) wait(now time.Time) time.Duration {
	if b == nil {
		return 0
	}
	b.fill(now)
	missing := 1 - b.tokens
	if missing < 1e-9 { // the error of adding up
		return 0
	}
	return time.Duration(min(math.Ceil(missing/b.perSecond*float64(time.Second)), float64(maxWait)))
}

// within returns how many tokens there are or will be in that time.
func (b *bucket) within(now time.Time, d time.Duration) int {
	if b == nil {
		return math.MaxInt
	}
	b.fill(now)
	return int(min(b.tokens+d.Seconds()*b.perSecond, math.MaxInt32))
}

// take takes a token.
func (b *bucket) take(now time.Time) {
	if b != nil {
		b.fill(now)
		b.tokens--
	}
}

// give gives tokens back.
func (b *bucket) give(now time.Time, n int) {
	if b != nil {
		b.fill(now)
		b.tokens = min(b.burst, b.tokens+float64(n))
	}
}

// maxSenders bounds how many senders are remembered. An email may name any.
const maxSenders = 10_000

// sender is who has a rate of its own. Its attempts wait for that before they
// are admitted, for it may take long. Only the first of them waits to be
// admitted, and takes the token when it is: else all who had a token would
// start together after a pause.
type sender struct {
	bucket

	first   *waiter    // in a queue of those to be admitted; nil for none
	waiting laneQueues // behind it
	shares  shares     // of the tokens
	timer   *time.Timer
}

// waits returns in which lanes somebody waits behind the first.
func (s *sender) waits() (waits [lanes]bool) {
	for lane := range s.waiting {
		waits[lane] = s.waiting[lane].head() != nil
	}
	return waits
}

// senderOf returns who d is from, or nil where senders have no rate.
func (r *Route) senderOf(now time.Time, d *common.Delivery) *sender {
	if r.senderRate <= 0 {
		return nil
	}
	s := r.senders[d.Sender]
	if s == nil {
		if len(r.senders) >= maxSenders {
			r.forgetSenders(now)
		}
		s = &sender{bucket: *newBucket(now, r.senderRate), shares: shares{part: r.shares.part}}
		r.senders[d.Sender] = s
	}
	return s
}

// forgetSenders drops those that have been quiet long enough to have their
// whole burst again: a new one would say the same.
func (r *Route) forgetSenders(now time.Time) {
	for name, s := range r.senders {
		if s.fill(now); s.tokens >= s.burst && s.first == nil && s.waiting.empty() {
			delete(r.senders, name)
		}
	}
}

// mayGo reports whether an attempt of the sender that comes now may wait to be
// admitted. A nil sender has no rate.
func (s *sender) mayGo(now time.Time) bool {
	return s == nil || s.first == nil && s.waiting.empty() && s.wait(now) == 0
}

// join has w wait for the rate.
func (s *sender) join(w *waiter) {
	s.waiting[w.attempt.rank()].join(w)
	w.yield()
}

// outranked reports whether an attempt of a lane above the first's waits.
func (s *sender) outranked() bool {
	if s == nil || s.first == nil {
		return false
	}
	waits := s.waits()
	return slices.Contains(waits[:s.first.attempt.rank()], true)
}

// giveWay has the first wait again.
func (s *sender) giveWay() {
	w := s.first
	s.first = nil
	w.in.waiting.Remove(w, byNumber)
	s.join(w)
}

// nextOf has the sender's next attempt wait to be admitted, once the rate lets
// it. A lower lane that is owed a token takes it from one above only where it
// can be admitted as soon as a slot is there.
func (r *Route) nextOf(now time.Time, s *sender) {
	if s.first != nil || s.waiting.empty() {
		return
	}
	if wait := s.wait(now); wait > 0 {
		r.nextOfIn(wait, s)
		return
	}
	can := s.waits()
	for lower := slices.Index(can[:], true) + 1; lower < lanes; lower++ {
		can[lower] = can[lower] && r.wouldGo(lower, s.waiting[lower].head())
	}
	lane, _ := s.shares.next(can)
	s.first, _ = s.waiting[lane].waiting.Pop()
	r.joinAdmits(s.first)
}

// wouldGo reports whether w would be the first of all senders in its lane, and
// have a slot. Else it would hold its sender's more urgent attempts up for as
// long as others do.
func (r *Route) wouldGo(lane int, w *waiter) bool {
	others := r.admits[lane].head()
	return r.freeFor(lane) > 0 && (others == nil || byNumber(w, others) < 0)
}

func (r *Route) nextOfIn(wait time.Duration, s *sender) {
	if s.timer != nil {
		s.timer.Reset(wait)
		return
	}
	s.timer = time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		now := time.Now()
		r.nextOf(now, s)
		r.grant(now)
	})
}
