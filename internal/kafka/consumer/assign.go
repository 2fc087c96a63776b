package consumer

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/pool"
)

// assigner begins assignments.
type assigner struct {
	*base

	partitions *partitions
	pool       *pool.Pool

	// mu is held while a partition gets its assignment and the client its
	// position, and while one is taken away: never both at once.
	mu sync.Mutex
}

// begin makes the assignments of partitions that the client does not read yet.
// Rewound says that Kafka may have a higher commit than they begin at. It is
// called with a.mu held.
func (a *assigner) begin(life *lifetime.Lifetime, rewound bool, partitions ...int32) {
	for _, p := range partitions {
		policy := a.newPolicy(rewound)
		a.partitions.put(newAssignment(p, life, a.pool.Owner(), policy))
		if !policy.outlives() {
			// Until the journal says what earlier owners did, nothing is read.
			a.client.PauseFetchPartitions(map[string][]int32{a.Topic: {p}})
		}
	}
}

// replace ends an assignment and begins another of its partition at an offset,
// or reports false where the group has taken the partition meanwhile: then the
// next owner finds out by itself.
func (a *assigner) replace(life *lifetime.Lifetime, old *assignment, offset int64) bool {
	a.mu.Lock()
	if old.isStopping() || !a.partitions.ifOwned(old, func() {}) {
		a.mu.Unlock()
		return false
	}
	a.partitions.forget(old)
	a.begin(life, true, old.partition)
	a.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		a.Topic: {old.partition: {Epoch: -1, Offset: offset}},
	})
	a.mu.Unlock()
	old.halt(errHandedOver)
	return true
}

// newPolicy returns that of a new assignment.
func (a *assigner) newPolicy(rewound bool) commitPolicy {
	if a.AtMostOnce {
		return &atMostOnce{asked: position{offset: -1, epoch: -1}, sent: -1}
	}
	return &atLeastOnce{events: a.Journal, tally: &a.tally, rewound: rewound, checkpoints: journal.Checkpoints{}}
}
