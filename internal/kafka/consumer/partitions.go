package consumer

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// partitions are the assignments of this process.
type partitions struct {
	faults faults // of reading requests

	mu        sync.Mutex
	owned     map[int32]*assignment
	former    map[int32]*assignment // the latest that was forgotten of a partition
	outliving sync.WaitGroup        // handlers that work though their partition is gone
}

func newPartitions() *partitions {
	return &partitions{owned: map[int32]*assignment{}, former: map[int32]*assignment{}}
}

func (p *partitions) put(a *assignment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owned[a.partition] = a
}

func (p *partitions) all() []*assignment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.owned))
}

// pick returns the assignments of those of the partitions that are owned.
func (p *partitions) pick(numbers ...int32) []*assignment {
	p.mu.Lock()
	defer p.mu.Unlock()
	var picked []*assignment
	for _, n := range numbers {
		if a, ok := p.owned[n]; ok {
			picked = append(picked, a)
		}
	}
	return picked
}

// ifOwned runs do, which must not block, where a is still the assignment of its
// partition. No other takes its place meanwhile.
func (p *partitions) ifOwned(a *assignment, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owned[a.partition] == a {
		do()
	}
}

// before returns the latest assignment of a partition that was forgotten, or
// nil.
func (p *partitions) before(partition int32) *assignment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.former[partition]
}

// withFormer returns the assignments, and those before them of their
// partitions: where the log was cut, calls of theirs may be under way.
func (p *partitions) withFormer(assignments []*assignment) []*assignment {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := slices.Clone(assignments)
	for _, a := range assignments {
		if before := p.former[a.partition]; before != nil {
			list = append(list, before)
		}
	}
	return list
}

// forget closes the assignments.
func (p *partitions) forget(assignments ...*assignment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range assignments {
		a.advance(closed)
		if p.owned[a.partition] == a {
			p.faults.over(a.partition)
			delete(p.owned, a.partition)
			p.former[a.partition] = a
		}
		if a.policy.outlives() {
			p.outliving.Go(a.handlers.Wait)
		}
	}
}

// awaitOutliving waits, until ctx ends, for handlers whose partitions are gone,
// and reports whether all returned in time.
func (p *partitions) awaitOutliving(ctx context.Context) bool {
	inTime := endsWithin(ctx, p.outliving.Wait)
	p.outliving.Wait() // at once: the calls of those that are late have been cut
	return inTime
}
