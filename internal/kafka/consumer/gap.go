package consumer

import (
	"context"

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
		if !idle || from >= end {
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

// idleAt returns the position of a partition in which nothing is unfinished;
// false while something is, or while there is no position yet.
func (a *assignment) idleAt() (int64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, _, busy := a.tracker.oldest(); busy || a.stopped {
		return 0, false
	}
	at := max(a.tracker.next.offset, a.committed)
	return at, at >= 0
}
