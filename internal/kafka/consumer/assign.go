package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/pool"
)

// assigner begins assignments: of partitions that the group assigns, and anew
// where a partition's log has changed.
type assigner struct {
	*base

	pool     *pool.Pool
	recovery *recovery

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
	if old.isStopping() || !slices.Contains(a.partitions.pick(old.partition), old) {
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

// isOffRange reports the errors that say that the log is not what it was.
func isOffRange(err error) bool {
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	return lost || errors.Is(err, kerr.OffsetOutOfRange)
}

// batch is what one poll brought of one partition.
type batch struct {
	assignment *assignment
	records    []*kgo.Record
	err        error
}

// reposition begins a new assignment of each partition whose log is not what
// it was, in the place of the one that read it.
func (a *assigner) reposition(life *lifetime.Lifetime, batches []batch) {
	for _, b := range batches {
		if loss, ok := errors.AsType[*kgo.ErrDataLoss](b.err); ok {
			a.rewind(life, b.assignment, loss, batches)
		} else if errors.Is(b.err, kerr.OffsetOutOfRange) {
			a.reset(life, b.assignment)
		}
	}
}

// reset goes on at the earliest record of a partition whose position is not
// in the log (any more): retention overtook us, or the log was cut. Reading
// again what may have been done is the lesser evil against leaving it out.
func (a *assigner) reset(life *lifetime.Lifetime, old *assignment) {
	ask, cancel := context.WithTimeout(life.Waiting(), 5*time.Second)
	defer cancel()
	partition := old.partition
	start, err := a.logStart(ask, partition)
	if subject := fmt.Sprint("reset ", partition); a.logged.Changed(subject, err) && err != nil {
		a.Log.Warn().Err(err).Int32("partition", partition).Msg("position out of range: cannot ask for the earliest record yet")
	}
	if err != nil {
		return
	}
	was := a.client.CommittedOffsets()[a.Topic][partition].Offset
	if a.replace(life, old, start) {
		a.Log.Error().Int32("partition", partition).Int64("committed_offset", was).Int64("earliest_offset", start).
			Msg("position out of range: going on at the earliest record")
		a.recovery.recover(life.Waiting(), []journal.Want{{Partition: partition, Committed: -1}})
	}
}

// rewind goes on where the log was cut: another leader took over without its
// last records, and others may stand there by now.
func (a *assigner) rewind(life *lifetime.Lifetime, old *assignment, loss *kgo.ErrDataLoss, batches []batch) {
	want := old.wantFrom(loss.ResetTo)
	for _, b := range batches {
		if b.assignment == old && len(b.records) > 0 { // read and not admitted, perhaps before the cut
			want.Committed = min(want.Committed, b.records[0].Offset)
		}
	}
	if a.replace(life, old, want.Committed) {
		a.Log.Error().Int32("partition", old.partition).Int64("read_offset", loss.ConsumedTo).
			Int64("lost_from_offset", loss.ResetTo).Int64("going_on_offset", want.Committed).
			Msg("the log of requests was cut: records were lost, going on with those that stand in their place")
		a.recovery.recover(life.Waiting(), []journal.Want{want})
	}
}
