package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
)

// measureInterval is how often the brokers are asked for the last stable
// offsets, where the topic ends for a reader of committed records. A fetch
// returns them too, but not while reading is paused, and then the lag matters.
const measureInterval = 5 * time.Second

// measureLoop keeps the ends of the owned partitions until ctx ends.
func (c *Consumer) measureLoop(ctx context.Context) {
	for lifetime.Sleep(ctx, measureInterval) == nil {
		c.measure(ctx)
	}
}

func (c *Consumer) measure(ctx context.Context) {
	owned := c.partitions.all()
	if len(owned) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, measureInterval)
	defer cancel()
	// What is behind the last stable offset waits for its producer, not for us.
	ends, err := kadm.NewClient(c.client).ListCommittedOffsets(ctx, c.Topic)
	if err != nil {
		return // readiness says that the brokers do not answer
	}
	for _, a := range owned {
		if end, ok := ends.Lookup(c.Topic, a.partition); ok && end.Err == nil {
			a.mu.Lock()
			a.end = end.Offset
			a.mu.Unlock()
			c.passGaps(ctx, a, end.Offset)
		}
	}
}

// passGaps has a partition's commit pass the offsets in front of end, the last
// stable offset, that no record has. Transaction markers are read like records;
// what compaction has removed behind the last record is not, and the client
// does not say that it has come further. So Kafka is asked, and only while all
// that was admitted is finished.
//
// The commit never passes a record: what the fetch does not find below the
// last stable offset is not there and never will be, whatever is appended,
// admitted or finished meanwhile, and an assignment that has ended by then
// commits nothing more.
func (c *Consumer) passGaps(ctx context.Context, a *assignment, end int64) {
	from, idle := a.idleAt()
	if !idle {
		return
	}
	if from < 0 { // it was never committed
		start, err := c.logStart(ctx, a.partition)
		if err != nil || !a.startAt(start) {
			return
		}
		from = start
	}
	// What could not be read is asked for again when the ends are.
	if _, next, _ := kafka.NextCommitted(ctx, c.client, c.Topic, a.partition, from, end); next > from {
		a.pass(next-1, -1)
	}
}

// logStart asks for the offset of the earliest record of a partition.
func (b *base) logStart(ctx context.Context, partition int32) (int64, error) {
	starts, err := kadm.NewClient(b.client).ListStartOffsets(ctx, b.Topic)
	if err != nil {
		return -1, err //nolint:wrapcheck // the caller says what for
	}
	start, ok := starts.Lookup(b.Topic, partition)
	if !ok {
		return -1, errors.New("the broker does not tell the partition's start")
	}
	return start.Offset, start.Err
}
