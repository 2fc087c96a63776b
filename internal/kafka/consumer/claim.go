package consumer

import (
	"context"

	"messaging-worker/internal/models"
)

// Claim is the right to one record of a partition that is ours, for as long
// as it is.
type Claim struct {
	consumer   *Consumer
	assignment *assignment
	record     *models.Record
}

// AtMostOnce reports that nobody reads the record again after Begin.
func (c *Claim) AtMostOnce() bool { return c.consumer.opts.AtMostOnce }

// Begin commits the record, and returns nil once Kafka has acknowledged that.
// After the end of ctx its answer is final, and an error means that the record
// is read again.
func (c *Claim) Begin(ctx context.Context) error {
	return c.consumer.commitFirst(ctx, c.assignment, c.record)
}

// Hold returns nil while the group counts us in. Where no heartbeat was
// answered for too long another worker may own the partition already: then it
// waits for an answer, or for ctx. A record that is committed before its call
// is nobody else's, so there it never waits.
func (c *Claim) Hold(ctx context.Context) error {
	if c.consumer.opts.AtMostOnce {
		return nil
	}
	return c.consumer.lease.wait(ctx)
}

// Aside runs a long wait, and lets another record's handler work meanwhile.
func (c *Claim) Aside(wait func() error) error { return c.consumer.crew.aside(wait) }

// Settled has the next commits say which recipients need no call any more, in
// the place of what was said of the record before.
func (c *Claim) Settled(s models.Settled) {
	if !c.consumer.opts.AtMostOnce {
		c.assignment.keep(c.record, s)
	}
}
