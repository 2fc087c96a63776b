package worker

import (
	"context"

	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// Ack is the promise that an event will be in Kafka. Wait returns nil once it is,
// or the cause of ctx's end. Any number may wait. It is an alias, so that a
// publisher need not import this package to return it.
type Ack = interface {
	Wait(ctx context.Context) error
}

// Publisher writes what happened. It tries until its context or itself ends,
// so an error from it means only that the worker is stopping or the partition
// is gone.
type Publisher interface {
	// Status hands ev over without waiting and keeps the order of the calls
	// for one message. Ctx tells which span the event belongs to; its end
	// changes nothing.
	Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) Ack

	// DLQ returns once the dead letter is acknowledged.
	DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error
}

// Lease is the right to handle one record. It is safe for concurrent use.
type Lease interface {
	route.Lease

	// AtMostOnce reports that nobody will read the record again once
	// CommitBeforeCall has returned nil, so that being stopped is an outcome
	// too.
	AtMostOnce() bool

	// CommitBeforeCall returns nil when the first provider call may be made:
	// nobody will read the record again. It is called only where AtMostOnce.
	// Once ctx has ended it commits nothing more, and its answer is final:
	// after an error the record will be read again, and no call may be made.
	CommitBeforeCall(ctx context.Context) error

	// Checkpoint stores which recipients are resolved while other calls of
	// their round are still under way, so that a crash does not call them
	// again. Each call replaces what the last one stored. It does not block.
	Checkpoint(s message.Resolved)
}
