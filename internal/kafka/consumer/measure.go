package consumer

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"messaging-worker/internal/kafka"
)

// measureInterval is how often the brokers are asked for the last stable
// offsets, where the topic ends for a reader of committed records. A fetch
// returns them too, but not while reading is paused, and then the lag matters.
const measureInterval = 5 * time.Second

// meter keeps the ends of the owned partitions.
type meter struct {
	*base

	partitions *partitions
}

// loop measures until ctx ends.
func (m *meter) loop(ctx context.Context) {
	tick := time.NewTicker(measureInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		m.measure(ctx)
	}
}

func (m *meter) measure(ctx context.Context) {
	owned := m.partitions.all()
	if len(owned) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, measureInterval)
	defer cancel()
	// What is behind the last stable offset waits for its producer, not for us.
	ends, err := kadm.NewClient(m.client).ListCommittedOffsets(ctx, m.Topic)
	if err != nil {
		return // readiness says that the brokers do not answer
	}
	for _, a := range owned {
		if end, ok := ends.Lookup(m.Topic, a.partition); ok && end.Err == nil {
			a.mu.Lock()
			a.end = end.Offset
			a.mu.Unlock()
			m.passGaps(ctx, a, end.Offset)
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
func (m *meter) passGaps(ctx context.Context, a *assignment, end int64) {
	for {
		from, idle := a.idleAt()
		if idle && from < 0 && m.startAt(ctx, a) {
			continue
		}
		if !idle || from < 0 || from >= end {
			return
		}
		found, next, err := kafka.NextCommitted(ctx, m.client, m.Topic, a.partition, from)
		if err != nil || next <= from {
			return // it is asked again when the ends are
		}
		a.pass(next-1, -1)
		if found != nil {
			return
		}
	}
}

// startAt gives a partition that was never committed the position of its log's
// start, and reports whether it did.
func (m *meter) startAt(ctx context.Context, a *assignment) bool {
	starts, err := kadm.NewClient(m.client).ListStartOffsets(ctx, m.Topic)
	start, ok := starts.Lookup(m.Topic, a.partition)
	return err == nil && ok && start.Err == nil && a.startAt(start.Offset)
}
