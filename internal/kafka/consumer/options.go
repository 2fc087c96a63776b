package consumer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// Options of a Consumer. All but InstanceID, AtMostOnce and Log are required.
type Options struct {
	Kafka          kafka.Options
	Topic          string
	StatusTopic    string // the journal of what was done
	Group          string
	InstanceID     string // static membership; empty for none
	SessionTimeout time.Duration
	CommitInterval time.Duration
	LongestCall    time.Duration // how long a provider call may take; bounds a hand-over

	MaxAtWork          int // handlers that run at once; others wait for room
	MaxPendingMessages int
	MaxPendingBytes    int64

	// AtMostOnce commits a record before its first provider call.
	AtMostOnce bool

	Journal  Journal
	Observer Observer
	Log      zerolog.Logger
}

// Journal is what the consumer asks of who writes status events.
type Journal interface {
	// Acked returns the highest status offset of a status partition that is
	// known to be written, or -1.
	Acked(partition int32) int64

	// FlushPartition waits until all events that were handed over for records
	// of a request partition are written, or for ctx.
	FlushPartition(ctx context.Context, partition int32) error
}

// Observer sees how the consumer fares. Its methods do not block.
type Observer interface {
	// Polling and Committing are called at least every few seconds while the
	// loop of that name moves.
	Polling()
	Committing()

	// Draining is called once, when the poll loop has come to its end.
	Draining()

	// Share is called with how many of the topic's partitions are assigned to
	// us, and how many it has: as soon as that is known, and then fewer are ours
	// before partitions are given up, more after they were assigned. A topic that
	// does not exist, or that we may not see, has none.
	Share(owned, total int)
}

// base is what the parts of a consumer have in common.
type base struct {
	Options

	client     *kgo.Client   // not before started is closed
	started    chan struct{} // closed once client is set
	logged     kafka.ErrorLog
	failing    kafka.ErrorLog // the group's session, and readings of the journal
	tally      tally
	partitions *partitions
}

func (b *base) running() bool {
	select {
	case <-b.started:
		return true
	default:
		return false
	}
}

// tally counts what has happened since the start.
type tally struct {
	commits, commitFailures atomic.Uint64
	journalRecords          atomic.Uint64
	finished, resumed, new  atomic.Uint64
}

// errHandedOver ends the waits of messages whose partition moves away.
var errHandedOver = errors.New("partition handed over")

// isFatal reports the errors after which a rejoin would go on for ever:
// another member with our instance id has taken our place.
func isFatal(err error) bool { return errors.Is(err, kerr.FencedInstanceID) }
