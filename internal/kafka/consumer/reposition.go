package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
)

// isOffRange reports the errors that say that the log is not what it was.
func isOffRange(err error) bool {
	_, lost := errors.AsType[*kgo.ErrDataLoss](err)
	return lost || errors.Is(err, kerr.OffsetOutOfRange)
}

// reposition begins a new assignment of each partition whose log is not what
// it was, in the place of the one that read it.
func (c *Consumer) reposition(life *lifetime.Lifetime, batches []batch) {
	for _, b := range batches {
		if loss, ok := errors.AsType[*kgo.ErrDataLoss](b.err); ok {
			c.rewind(life, b.assignment, loss, batches)
		} else if errors.Is(b.err, kerr.OffsetOutOfRange) {
			c.reset(life, b.assignment)
		}
	}
}

// errNoStart is the answer of a broker that does not know the partition.
var errNoStart = errors.New("the broker does not tell the partition's start")

// reset goes on at the earliest record of a partition whose position is not
// in the log (any more): retention overtook us, or the log was cut. Reading
// again what may have been done is the lesser evil against leaving it out.
func (c *Consumer) reset(life *lifetime.Lifetime, old *assignment) {
	ask, cancel := context.WithTimeout(life.Waiting(), 5*time.Second)
	defer cancel()
	partition := old.partition
	starts, err := kadm.NewClient(c.client).ListStartOffsets(ask, c.opts.Topic)
	if err == nil {
		err = starts.Error()
	}
	start, ok := starts.Lookup(c.opts.Topic, partition)
	if err == nil && !ok {
		err = errNoStart
	}
	if matter := fmt.Sprint("reset ", partition); c.told.Changed(matter, err) && err != nil {
		c.log.Warn().Err(err).Int32("partition", partition).Msg("position out of range: cannot ask for the earliest record yet")
	}
	if err != nil {
		return
	}
	was := c.client.CommittedOffsets()[c.opts.Topic][partition].Offset
	if c.replace(life, old, start.Offset) {
		c.log.Error().Int32("partition", partition).Int64("committed_offset", was).Int64("earliest_offset", start.Offset).
			Msg("position out of range: going on at the earliest record")
		c.recover(life.Waiting(), []journal.Want{{Partition: partition, Committed: -1}})
	}
}

// rewind goes on where the log was cut: another leader took over without its
// last records, and others may stand there by now.
func (c *Consumer) rewind(life *lifetime.Lifetime, old *assignment, loss *kgo.ErrDataLoss, batches []batch) {
	want := old.wantFrom(loss.ResetTo)
	for _, b := range batches {
		if b.assignment == old && len(b.records) > 0 { // read and not admitted, perhaps before the cut
			want.Committed = min(want.Committed, b.records[0].Offset)
		}
	}
	if c.replace(life, old, want.Committed) {
		c.log.Error().Int32("partition", old.partition).Int64("read_offset", loss.ConsumedTo).
			Int64("lost_from_offset", loss.ResetTo).Int64("going_on_offset", want.Committed).
			Msg("the log of requests was cut: records were lost, going on with those that stand in their place")
		c.recover(life.Waiting(), []journal.Want{want})
	}
}

// wantFrom returns where a new assignment goes on when the log was cut at an
// offset: there, or at the first record before it that is neither finished nor
// committed.
func (a *assignment) wantFrom(cut int64) journal.Want {
	a.mu.Lock()
	start, done := cut, a.tracker.next.offset
	if oldest, _, ok := a.tracker.oldest(); ok {
		start = min(cut, max(oldest, a.committed))
	}
	noted := a.notes != nil && start >= done
	a.mu.Unlock()
	want := journal.Want{Partition: a.partition, Committed: start}
	if noted { // for an earlier one the notes are gone, and the journal is found by time
		want.Metadata, _ = a.metadata(start)
	}
	return want
}

// replace ends an assignment and begins another of its partition at an offset,
// or reports false where the group has taken the partition meanwhile: then the
// next owner finds out by itself.
func (c *Consumer) replace(life *lifetime.Lifetime, old *assignment, offset int64) bool {
	c.assigning.Lock()
	c.mu.Lock()
	ours := c.owned[old.partition] == old
	c.mu.Unlock()
	if !ours || old.halted() {
		c.assigning.Unlock()
		return false
	}
	c.forget([]*assignment{old})
	c.begin(life, []int32{old.partition}, true)
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		c.opts.Topic: {old.partition: {Epoch: -1, Offset: offset}},
	})
	c.assigning.Unlock()
	old.halt(errHandedOver)
	return true
}
