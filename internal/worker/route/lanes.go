package route

import "math"

// lanes is how many models.Lanes there are. A lane is named here by its rank: 0
// is the most urgent, the others are the lower lanes.
const lanes = 3

// laneQueues holds those who wait, in a queue for each lane.
type laneQueues [lanes]queue

// empty reports whether nobody waits.
func (q *laneQueues) empty() bool {
	for lane := range q {
		if q[lane].head() != nil {
			return false
		}
	}
	return true
}

// yield tells all who wait to let others be worked on.
func (q *laneQueues) yield() {
	for lane := range q {
		q[lane].yield()
	}
}

// shares decides which lane is granted next: the most urgent one, but each lower
// lane that waits gets a least part of the grants. That is kept over any hundred
// of them, whatever the others do. The zero shares guarantees nothing.
type shares struct {
	part int        // that a lower lane is owed more with each grant, in millionths
	owed [lanes]int // to lower lanes, in millionths of a grant
}

const (
	wholeGrant = 1_000_000
	mostOwed   = 2 * wholeGrant // who waits and cannot go yet gets no crowd of grants later
)

// newShares guarantees each lower lane that part, 0 to 0.3. A grant comes late
// where both are owed one at a time, or where the attempt that could take it is
// being acknowledged: so what is owed grows as if a hundred were ninety.
func newShares(least float64) shares {
	return shares{part: int(math.Ceil(least * wholeGrant / .9))}
}

// next returns the lane to be granted of those that can go; false where none can.
func (s *shares) next(can [lanes]bool) (lane int, ok bool) {
	lane = -1
	for lower := 1; lower < lanes; lower++ {
		if can[lower] && s.due(lower) && (lane < 0 || s.owed[lower] > s.owed[lane]) {
			lane = lower
		}
	}
	for first := 0; first < lanes && lane < 0; first++ {
		if can[first] {
			lane = first
		}
	}
	return lane, lane >= 0
}

// due reports whether the lane is to go before those above it.
func (s *shares) due(lane int) bool {
	return lane > 0 && s.part > 0 && s.owed[lane]+s.part >= wholeGrant
}

// granted notes a grant, and which lanes waited for one.
func (s *shares) granted(to int, waited [lanes]bool) {
	for lane := 1; lane < lanes; lane++ {
		switch {
		case lane == to:
			s.owed[lane] = max(s.owed[lane]+s.part-wholeGrant, 0)
		case waited[lane]:
			s.owed[lane] = min(s.owed[lane]+s.part, mostOwed)
		}
	}
}

// nextStart returns the lane whose first call may start now; false where none
// may.
func (r *Route) nextStart() (lane int, ok bool) {
	var can [lanes]bool
	for lane := range can {
		can[lane] = r.starts[lane].head() != nil && r.freeFor(lane) > 0
	}
	return r.shares.next(can)
}

// waiting returns which lower lanes wait for a start and have a slot that they
// may take. A message that waits to be admitted, or for its attempt to be
// acknowledged, waits too.
func (r *Route) waiting() (waits [lanes]bool) {
	for lane := 1; lane < lanes; lane++ {
		waits[lane] = (r.ahead[lane] > 0 || r.admits[lane].head() != nil) && r.freeFor(lane) > 0
	}
	return waits
}

// roomAhead returns how many calls of a lane may be ahead of their slots, of all
// that may: the lanes above it come first, and a lower lane is left twice what it
// gets of the starts at least, so that one of it is there when it is due. What
// lanes below have ahead counts for nothing: they were there before, and go later.
func (r *Route) roomAhead(lane, all int) int {
	room := all
	for above := range lane {
		room -= r.ahead[above]
	}
	return max(room, (2*all*r.shares.part+wholeGrant-1)/wholeGrant)
}
