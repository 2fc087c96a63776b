package consumer

import (
	"context"

	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// Lease is the right to handle one record, for as long as its partition is
// assigned to this consumer. It is safe for concurrent use.
type Lease struct {
	consumer   *Consumer
	assignment *assignment
	record     *models.Record
}

// AtMostOnce reports that nobody reads the record again once CommitBeforeCall
// has returned nil.
func (l *Lease) AtMostOnce() bool { return l.consumer.opts.AtMostOnce }

// CommitBeforeCall commits the record, and returns nil once Kafka has
// acknowledged that. After the end of ctx its answer is final, and an error
// means that the record is read again.
func (l *Lease) CommitBeforeCall(ctx context.Context) error {
	return l.consumer.commitFirst(ctx, l.assignment, l.record)
}

// Await returns nil while this consumer is a member of the group. Where no
// heartbeat was answered for too long, another worker may own the partition
// already: then it waits for an answer, or for ctx. A record that is committed
// before its first call is read by nobody else, so there it never waits.
func (l *Lease) Await(ctx context.Context) error {
	if l.consumer.opts.AtMostOnce {
		return nil
	}
	return l.consumer.membership.wait(ctx)
}

// Yield runs a long wait, and lets another record's handler work meanwhile.
func (l *Lease) Yield(wait func() error) error { return l.consumer.crew.aside(wait) }

// Checkpoint stores with the next commits which recipients need no further
// call. It replaces what was stored for the record before.
func (l *Lease) Checkpoint(s message.Resolved) {
	if !l.consumer.opts.AtMostOnce {
		l.assignment.keep(l.record, s)
	}
}
