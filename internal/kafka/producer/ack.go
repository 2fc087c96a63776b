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

// lateAfter is how long a record may wait for its acknowledgement before
// readiness reports it.
const lateAfter = 10 * time.Second

// idleAfter is how long a partition must have had nothing to acknowledge until
// a late acknowledgement is forgotten. Where each acknowledgement is late, the
// next record follows the last acknowledgement at once.
const idleAfter = 500 * time.Millisecond

// unackedList holds the records of one partition that are not acknowledged, the
// oldest first, whether they are with a client, held back or tried again: the
// client retries some refusals for ever without reporting them.
type unackedList struct {
	first, last *Ack
	lateAt      time.Time // of the latest acknowledgement, where it came late
}

// add appends a record that is handed over now.
func (l *unackedList) add(a *Ack) {
	a.since, a.before = time.Now(), l.last
	if l.last == nil {
		l.first = a
	} else {
		l.last.after = a
	}
	l.last = a
}

// remove takes out a record that is completed. Late is how long it may have
// waited to count as in time.
func (l *unackedList) remove(a *Ack, late time.Duration) {
	if a.before == nil {
		l.first = a.after
	} else {
		a.before.after = a.after
	}
	if a.after == nil {
		l.last = a.before
	} else {
		a.after.before = a.before
	}
	a.before, a.after = nil, nil // an Ack that is kept must not keep others
	l.lateAt = time.Time{}
	if now := time.Now(); now.Sub(a.since) >= late {
		l.lateAt = now
	}
}

// stalled reports whether the oldest record has waited for as long as late, or
// the latest acknowledgement came late and none has come in time since.
func (l *unackedList) stalled(late time.Duration) bool {
	if l.first != nil && time.Since(l.first.since) >= late {
		return true
	}
	return !l.lateAt.IsZero() && (l.first != nil || time.Since(l.lateAt) < idleAfter)
}
