package producer

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lateAfter is how long a record may wait for its acknowledgement before
// readiness tells of it.
const lateAfter = 10 * time.Second

// restAfter is how long nothing of a partition must be on its way until an
// acknowledgement that came late is past. Where each takes that long, the next
// record follows the last acknowledgement at once.
const restAfter = 500 * time.Millisecond

// unacked knows how long records have waited for their acknowledgements, whatever
// becomes of them meanwhile: the client tries some refusals again and again and
// tells nobody.
type unacked struct {
	late time.Duration

	mu sync.RWMutex
	of map[topicPartition]*unackedList
}

// unackedList lists the records of one partition that are not acknowledged, the
// oldest first.
type unackedList struct {
	mu          sync.Mutex
	first, last *Ack
	late        time.Time // of the latest acknowledgement, where it came late
}

// at returns the list of a partition, as the caller names it.
func (w *unacked) at(where topicPartition) *unackedList {
	w.mu.RLock()
	found := w.of[where]
	w.mu.RUnlock()
	if found != nil {
		return found
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of[where] == nil {
		w.of[where] = &unackedList{}
	}
	return w.of[where]
}

// begin adds a record that is handed over now.
func (w *unackedList) begin(a *Ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.since, a.before = time.Now(), w.last
	if w.last == nil {
		w.first = a
	} else {
		w.last.after = a
	}
	w.last = a
}

// end takes out a record that is answered.
func (w *unackedList) end(a *Ack, late time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.before == nil {
		w.first = a.after
	} else {
		a.before.after = a.after
	}
	if a.after == nil {
		w.last = a.before
	} else {
		a.after.before = a.before
	}
	a.before, a.after = nil, nil // an Ack that is kept must not keep others
	w.late = time.Time{}
	if now := time.Now(); now.Sub(a.since) >= late {
		w.late = now
	}
}

// stalled reports whether the oldest record has waited for as long as late, or
// the last one that was acknowledged had and none has come in time since.
func (w *unackedList) stalled(late time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first != nil && time.Since(w.first.since) >= late {
		return true
	}
	return !w.late.IsZero() && (w.first != nil || time.Since(w.late) < restAfter)
}

// stalled returns the topics with a partition whose records wait for as long as
// late, in order.
func (w *unacked) stalled(late time.Duration) []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var topics []string
	for where, one := range w.of {
		if one.stalled(late) {
			topics = append(topics, where.topic)
		}
	}
	slices.SortFunc(topics, cmp.Compare)
	return slices.Compact(topics)
}
