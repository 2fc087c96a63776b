package app

import "sync"

// shares adds up which part of the request partitions of all lanes this worker
// owns: its part of a rate that is one for the whole consumer group, in whatever
// lane its messages are.
//
// Each source lowers what it owns before it gives partitions up, and raises it
// after it was assigned some. So the parts of all workers are never more than the
// whole together, as long as they agree on how many partitions the topics have.
type shares struct {
	set func(part float64) // takes the sum, in the order in which it changes

	mu      sync.Mutex
	sources []ownership
}

// ownership is how many partitions of its topic a source owns.
type ownership struct {
	known        bool
	owned, total int
}

// newShares makes the sum of that many sources, none of which is known yet. Set
// is called each time that one has told what it owns, and not before all have: a
// sum without one of the lanes would be too large.
func newShares(sources int, set func(part float64)) *shares {
	return &shares{set: set, sources: make([]ownership, sources)}
}

// several reports whether there is more than one source.
func (s *shares) several() bool { return len(s.sources) > 1 }

// told takes how many partitions a source owns of those that its topic has: 0 and
// 0 where there is no such topic.
func (s *shares) told(source, owned, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sources[source] = ownership{true, owned, total}
	var sum ownership
	for _, one := range s.sources {
		if !one.known {
			return
		}
		sum.owned += one.owned
		sum.total += one.total
	}
	s.set(float64(sum.owned) / float64(max(1, sum.total)))
}
