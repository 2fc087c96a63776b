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

// batch is what one poll brought of one partition.
type batch struct {
	assignment *assignment
	records    []*kgo.Record
	err        error
}

// repositioner begins a new assignment where a partition's log has changed.
type repositioner struct {
	*base

	assigner *assigner
	recovery *recovery
}

// reposition begins a new assignment of each partition whose log is not what
// it was, in the place of the one that read it.
func (r *repositioner) reposition(life *lifetime.Lifetime, batches []batch) {
	for _, b := range batches {
		if loss, ok := errors.AsType[*kgo.ErrDataLoss](b.err); ok {
			r.rewind(life, b.assignment, loss, batches)
		} else if errors.Is(b.err, kerr.OffsetOutOfRange) {
			r.reset(life, b.assignment)
		}
	}
}

// errNoStart is the answer of a broker that does not know the partition.
var errNoStart = errors.New("the broker does not tell the partition's start")

// reset goes on at the earliest record of a partition whose position is not
// in the log (any more): retention overtook us, or the log was cut. Reading
// again what may have been done is the lesser evil against leaving it out.
func (r *repositioner) reset(life *lifetime.Lifetime, old *assignment) {
	ask, cancel := context.WithTimeout(life.Waiting(), 5*time.Second)
	defer cancel()
	partition := old.partition
	starts, err := kadm.NewClient(r.client).ListStartOffsets(ask, r.Topic)
	if err == nil {
		err = starts.Error()
	}
	start, ok := starts.Lookup(r.Topic, partition)
	if err == nil && !ok {
		err = errNoStart
	}
	if subject := fmt.Sprint("reset ", partition); r.logged.Changed(subject, err) && err != nil {
		r.Log.Warn().Err(err).Int32("partition", partition).Msg("position out of range: cannot ask for the earliest record yet")
	}
	if err != nil {
		return
	}
	was := r.client.CommittedOffsets()[r.Topic][partition].Offset
	if r.assigner.replace(life, old, start.Offset) {
		r.Log.Error().Int32("partition", partition).Int64("committed_offset", was).Int64("earliest_offset", start.Offset).
			Msg("position out of range: going on at the earliest record")
		r.recovery.recover(life.Waiting(), []journal.Want{{Partition: partition, Committed: -1}})
	}
}

// rewind goes on where the log was cut: another leader took over without its
// last records, and others may stand there by now.
func (r *repositioner) rewind(life *lifetime.Lifetime, old *assignment, loss *kgo.ErrDataLoss, batches []batch) {
	want := old.wantFrom(loss.ResetTo)
	for _, b := range batches {
		if b.assignment == old && len(b.records) > 0 { // read and not admitted, perhaps before the cut
			want.Committed = min(want.Committed, b.records[0].Offset)
		}
	}
	if r.assigner.replace(life, old, want.Committed) {
		r.Log.Error().Int32("partition", old.partition).Int64("read_offset", loss.ConsumedTo).
			Int64("lost_from_offset", loss.ResetTo).Int64("going_on_offset", want.Committed).
			Msg("the log of requests was cut: records were lost, going on with those that stand in their place")
		r.recovery.recover(life.Waiting(), []journal.Want{want})
	}
}
