package producer

import "time"

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
