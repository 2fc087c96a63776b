package producer

import (
	"context"

	"messaging-worker/internal/fifo"
)

// guardState says where a record goes that is produced to an ordered partition.
type guardState int

const (
	// open: to the client. But a record whose key has records in the retry
	// queue follows them there, so that a record that is refused for long
	// delays its own message and no other.
	open guardState = iota

	// draining: nowhere yet. Kafka has refused something, and until the client
	// has answered for all that it was given nobody knows what else. Then what
	// was held back goes on, in order.
	draining

	// closed: nowhere. It is completed with ErrClosed.
	closed
)

// orderGuard keeps the records of one partition in order, key by key, when some
// are refused. The invariant: while a record is not written, no later one of its
// partition and key is with the client that fills batches, unless it went there
// before the refusal was known.
//
// "Known" is when the client's first callback runs, mostly microseconds after
// it has failed the batch. A record produced between the two goes to the
// client, and may be written before one of its key that was refused: the one
// gap.
type orderGuard struct {
	state    guardState
	refusals int64          // Producer.refusalCount when it was looked at last
	handed   int            // records with the client, not answered
	retrying map[string]int // records in the retry queue, by key
	held     fifo.Queue[*Ack]
}

// The methods below are all that changes a guard's state.

// notice begins to hold back what is produced to t, where something was refused
// while the client has some of t. One request has batches of many partitions,
// and mostly all are refused: so it does not matter whose refusal it was. The
// lock must be held.
func (t *partition) notice() {
	count := t.producer.refusalCount.Load()
	if count != t.guard.refusals && t.ordered && t.guard.state == open && t.guard.handed > 0 {
		t.guard.state = draining
	}
	t.guard.refusals = count
}

// countAnswer counts an answer of the client. After the last one what was held
// back goes on. The lock must be held.
func (t *partition) countAnswer() {
	t.guard.handed--
	if t.guard.state != draining || t.guard.handed > 0 {
		return
	}
	t.guard.state = open
	for a, ok := t.guard.held.Pop(); ok; a, ok = t.guard.held.Pop() {
		t.pass(a)
	}
}

// close completes with ErrClosed what is held back.
func (t *partition) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.guard.state = closed
	for a, ok := t.guard.held.Pop(); ok; a, ok = t.guard.held.Pop() {
		t.complete(a, ErrClosed)
	}
}

// pass sends a where the state says. The lock must be held: the client then has
// the records in the order of the calls. It does not block, since it has no
// bound on what it buffers, and calls nothing back before it returns.
func (t *partition) pass(a *Ack) {
	switch {
	case t.guard.state == closed:
		t.complete(a, ErrClosed)
	case t.guard.state == draining:
		t.guard.held.Push(a)
	case t.ordered && len(t.guard.retrying) > 0 && t.guard.retrying[string(a.record.Key)] > 0:
		t.retry(a)
	default:
		t.guard.handed++
		t.producer.client.Produce(context.Background(), &a.record, a.onAnswer)
	}
}
