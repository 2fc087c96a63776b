package consumer

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// errHandedOver ends the waits of messages whose partition moves away.
var errHandedOver = errors.New("partition handed over")

// assignment is one partition from the moment it is given to us until it is
// taken away. It ends in two steps: stop ends the waits and lets provider
// calls end, abandon cuts those too. Completions of an ended assignment
// change nothing, because a later one of the same partition has a tracker of
// its own.
type assignment struct {
	partition int32
	start     func(*models.Record, message.Progress) // runs the handler of an admitted record in a goroutine
	kick      func(late bool)                        // asks for a commit
	crew      *crew
	tally     *tally
	stop      func(cause error)
	abandon   func(cause error)
	handlers  sync.WaitGroup
	outlives  bool // at most once: handlers go on when the partition is gone

	mu        sync.Mutex
	tracker   *tracker
	begun     position            // at most once: behind the highest record that asked to begin
	sent      int64               // the highest offset of a commit under way or of unknown outcome, or -1
	sentFirst int64               // what sent was before the last commit
	committed int64               // acknowledged by Kafka; -1 before the first commit
	refusal   error               // of the last commit, nil where it was taken; under Consumer.commitMu alone
	known     bool                // at most once: what the group has committed before
	fold      *journal.Fold       // what earlier owners did; nil once it is behind us
	notes     *journal.Notes      // nil until the journal is read, and with AtMostOnce
	place     journal.Position    // where its reading began
	before    *journal.Position   // see journal.Found
	found     int64               // the highest request that the journal had, or -1
	kept      journal.Checkpoints // settled recipients of rounds that have not ended
	keptAt    int                 // counts the changes of kept
	keptSaid  int                 // the keptAt that Kafka has acknowledged
	moved     chan struct{}       // closed and replaced when committed moves
	rewound   bool                // Kafka may hold a higher commit than this began at
	stopped   bool                // nothing more is admitted
	closed    bool                // nor committed
	end       int64               // the partition's last stable offset when it was asked for; -1 before that
}

// newAssignment makes the assignment of a partition. Everything that it starts
// is cut when life is; a stop of life reaches it through halt, once nothing
// more is polled.
//
// At most once, abandon is no more than halt: what is begun is committed and
// nobody else's, so its calls may end whoever owns the partition by then.
func (c *Consumer) newAssignment(life *lifetime.Lifetime, partition int32) *assignment {
	own := lifetime.New(life.Calls())
	a := &assignment{
		partition: partition, stop: own.Stop, abandon: own.Cut,
		tracker: newTracker(), begun: position{offset: -1, epoch: -1}, sent: -1, committed: -1, end: -1,
		outlives: c.opts.AtMostOnce,
		moved:    make(chan struct{}), kept: journal.Checkpoints{}, kick: c.askForCommit, crew: c.crew, tally: &c.tally,
	}
	if a.outlives {
		a.abandon = a.halt
	}
	a.start = func(rec *models.Record, progress message.Progress) {
		c.crew.start(task{a, own.Waiting().Done(), func() {
			defer a.handlers.Done()
			c.handle(own, a, rec, progress)
		}})
	}
	return a
}

// recovered takes the journal's word on what earlier owners did. Without any
// commit the starting position is committed at once.
func (a *assignment) recovered(f journal.Found, committed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fold, a.place, a.kept = f.Fold, f.From, f.Checkpoints
	a.before, a.found = f.Before, f.Fold.Highest()
	a.notes = journal.NewNotes(f.Start, f.From.Offset, a.found)
	a.tracker.next = position{offset: f.Start, epoch: -1}
	if committed && !a.rewound {
		a.committed = f.Start
	}
	if a.kept == nil {
		a.kept = journal.Checkpoints{}
	}
	maps.DeleteFunc(a.kept, func(k journal.Key, _ message.Resolved) bool { return k.Offset < f.Start })
}

// admit notes the record, or reports false where it must not be handled: the
// partition is on its way out, the record was read before, or it is finished.
// An admitted record must be started. Acked is asked for the status partition.
func (a *assignment) admit(r *kgo.Record, acked func(int32) int64) (progress message.Progress, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := r.Timestamp
	if !models.UsableTime(at) {
		at = time.Now() // its age is not known: it counts from when it was read
	}
	if a.stopped || !a.tracker.admit(r.Offset, r.LeaderEpoch, at) {
		return progress, false
	}
	if a.notes != nil {
		a.notes.Admitted(r.Offset, acked(a.place.Partition)+1)
	}
	if a.fold != nil {
		var finished bool
		key := journal.Key{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli()}
		if progress, finished = a.fold.Look(key); finished {
			delete(a.kept, key)
			a.tracker.finish(r.Offset)
			a.tally.finished.Add(1)
			return progress, false
		}
		progress.Resolved = a.kept[key]
		if progress.Queued {
			a.tally.resumed.Add(1)
		} else {
			a.tally.fresh.Add(1)
		}
		if r.Offset >= a.fold.Highest() {
			a.fold = nil // nothing behind this has a past
		}
	}
	a.handlers.Add(1) // under the lock: once stopped is seen, nobody is added
	return progress, true
}

// pass notes that nothing is to be done up to an offset; see tracker.pass.
func (a *assignment) pass(offset int64, epoch int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.tracker.pass(offset, epoch)
	}
}

// refuse admits nothing more.
func (a *assignment) refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
}

// halt admits nothing more and ends the waits of what was admitted.
func (a *assignment) halt(cause error) {
	a.refuse()
	a.stop(cause)
	a.crew.release(a)
}

func (a *assignment) finish(rec *models.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tracker.finish(rec.Offset)
	delete(a.kept, keyOf(rec)) // its final event tells more
}

// keep has the next commits say who is settled of a record whose round of
// calls has not ended. Empty takes it back.
func (a *assignment) keep(rec *models.Record, s message.Resolved) {
	key := keyOf(rec)
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Empty() {
		delete(a.kept, key)
		return
	}
	a.kept[key] = s
	a.keptAt++
	a.kick(true)
}

func keyOf(rec *models.Record) journal.Key {
	return journal.Key{Offset: rec.Offset, Timestamp: rec.Timestamp.UnixMilli()}
}

// toCommit returns what is committable and not committed yet.
//
// At most once, a stopped assignment commits nothing more for the sake of
// records that ask to begin: their handlers are about to be told that they
// must not. If a commit for them was not answered, the last one takes the
// offset back, so that they are read again.
func (a *assignment) toCommit() (kgo.EpochOffset, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pos, ok := a.tracker.committable()
	again := false
	switch {
	case !a.stopped && a.begun.offset > pos.offset:
		pos, ok = a.begun, true
	case a.stopped && a.sent > max(a.committed, pos.offset):
		pos, again = a.standing(pos), true
		ok = pos.offset >= 0
	}
	if !ok || a.closed || pos.offset <= a.committed && a.keptAt == a.keptSaid && !again {
		return kgo.EpochOffset{}, false
	}
	a.sentFirst, a.sent = a.sent, max(a.sent, pos.offset)
	return kgo.EpochOffset{Epoch: pos.epoch, Offset: pos.offset}, true
}

// standing returns the position that Kafka is known to have, or else that of
// the first record without an outcome. It is called with a.mu held.
func (a *assignment) standing(pos position) position {
	if a.committed > pos.offset {
		pos = position{offset: a.committed, epoch: -1}
	}
	if first, _, ok := a.tracker.oldest(); ok && pos.offset < 0 {
		pos = position{offset: first, epoch: -1}
	}
	return pos
}

// metadata says with a commit of that offset where to read the journal from,
// and what no event tells yet. The number stands for that in setCommitted.
func (a *assignment) metadata(offset int64) (string, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.notes == nil {
		return "", a.keptAt
	}
	commit := journal.Commit{Position: a.place, Checkpoints: a.kept}
	commit.Position.Offset = a.notes.At(offset)
	if a.before != nil && offset <= a.found {
		commit.Position = *a.before // the present partition is found by time
	}
	return commit.String(), a.keptAt
}

func (a *assignment) setCommitted(offset int64, keptAt int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keptSaid = keptAt
	if offset > a.committed {
		a.committed = offset
		close(a.moved)
		a.moved = make(chan struct{})
	}
	if a.stopped {
		a.sent = a.committed // nothing is in doubt any more
	}
}

// close makes the assignment deaf: nothing more is admitted or committed.
func (a *assignment) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped, a.closed = true, true
}

// drain halts the assignments, waits until their handlers have returned, and
// abandons what is left when ctx ends. It reports whether all returned in
// time. Handlers that outlive their partition are waited for no longer then.
func drain(ctx context.Context, assignments []*assignment, cause error) bool {
	for _, a := range assignments {
		a.halt(cause)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, a := range assignments {
			a.handlers.Wait()
		}
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	for _, a := range assignments {
		a.abandon(cause)
	}
	for _, a := range assignments {
		if !a.outlives {
			a.handlers.Wait()
		}
	}
	return false
}
