package consumer

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"

	"messaging-worker/internal/kafka"
)

// passGaps has a partition's commit pass the offsets in front of end, the last
// stable offset, that no record has. Transactions' markers are read like
// records; what compaction has removed behind the last record is not, and the
// client does not tell that it has come further. So Kafka is asked, and only
// while all that was admitted is finished.
//
// The commit never passes a record: what the fetch does not find below the
// last stable offset is not there and never will be, whatever is appended,
// admitted or finished meanwhile, and an assignment that has ended by then
// commits nothing more.
func (c *Consumer) passGaps(ctx context.Context, a *assignment, end int64) {
	for {
		from, idle := a.idleAt()
		if idle && from < 0 && c.startAt(ctx, a) {
			continue
		}
		if !idle || from < 0 || from >= end {
			return
		}
		found, next, err := kafka.NextCommitted(ctx, c.client, c.opts.Topic, a.partition, from)
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
// start, and reports whether it did. At least once every partition gets its
// position when its journal has been read.
func (c *Consumer) startAt(ctx context.Context, a *assignment) bool {
	if !c.opts.AtMostOnce {
		return false
	}
	starts, err := kadm.NewClient(c.client).ListStartOffsets(ctx, c.opts.Topic)
	start, ok := starts.Lookup(c.opts.Topic, a.partition)
	if err != nil || !ok || start.Err != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// Before the group has said what it had, a commit could take that back.
	begins := a.known && a.committed < 0 && a.tracker.last < 0 && a.tracker.next.offset < 0
	if begins {
		a.tracker.next.offset = start.Offset
	}
	return begins
}

// idleAt returns the position of a partition in which nothing is unfinished,
// -1 while it has none; false while something is.
func (a *assignment) idleAt() (int64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _, busy := a.tracker.oldest()
	return max(a.tracker.next.offset, a.committed), !busy && !a.stopped
}
