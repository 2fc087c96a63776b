package producer

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Ack is a record on its way and the promise of its acknowledgement. Any number
// may wait for it.
type Ack struct {
	partition *partition
	record    kgo.Record

	// Of the partition's list of unacknowledged records, under its lock.
	since         time.Time
	before, after *Ack

	mu       sync.Mutex
	answered bool
	err      error
	done     chan struct{} // made by the first who has to wait: many never do
}

func (a *Ack) answer(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered, a.err = true, err
	if a.done != nil {
		close(a.done)
	}
}

// Wait returns nil once all in-sync replicas have the record, ErrTooLarge or
// ErrClosed, or the cause of ctx's end; the record is then still on its way.
func (a *Ack) Wait(ctx context.Context) error {
	a.mu.Lock()
	if a.answered {
		a.mu.Unlock()
		return a.err
	}
	if a.done == nil {
		a.done = make(chan struct{})
	}
	done := a.done
	a.mu.Unlock()
	p := a.partition.producer
	since := a.since.UnixNano()
	quiet := since-p.lastWait.Swap(since) > int64(linger) // who still waits has lingered, or cannot be written
	if n := p.waiters.Add(1); n == 1 || quiet || n%crowd == 0 {
		p.writeNow()
	}
	defer p.waiters.Add(-1)
	select {
	case <-done:
		return a.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
