package consumer

import (
	"context"

	"messaging-worker/internal/models"
)

// Lease is the right to one record of a partition that is ours, for as long
// as it is.
type Lease struct {
	consumer   *Consumer
	assignment *assignment
	record     *models.Record
}

// AtMostOnce reports that nobody reads the record again after CommitBeforeCall.
func (l *Lease) AtMostOnce() bool { return l.consumer.opts.AtMostOnce }

// CommitBeforeCall commits the record, and returns nil once Kafka has acknowledged that.
// After the end of ctx its answer is final, and an error means that the record
// is read again.
func (l *Lease) CommitBeforeCall(ctx context.Context) error {
	return l.consumer.commitFirst(ctx, l.assignment, l.record)
}

// Await returns nil while the group counts us in. Where no heartbeat was
// answered for too long another worker may own the partition already: then it
// waits for an answer, or for ctx. A record that is committed before its call
// is nobody else's, so there it never waits.
func (l *Lease) Await(ctx context.Context) error {
	if l.consumer.opts.AtMostOnce {
		return nil
	}
	return l.consumer.lease.wait(ctx)
}

// Yield runs a long wait, and lets another record's handler work meanwhile.
func (l *Lease) Yield(wait func() error) error { return l.consumer.crew.aside(wait) }

// Checkpoint has the next commits say which recipients need no call any more, in
// the place of what was said of the record before.
func (l *Lease) Checkpoint(s models.Settled) {
	if !l.consumer.opts.AtMostOnce {
		l.assignment.keep(l.record, s)
	}
}
