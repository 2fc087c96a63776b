package consumer

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/broadcast"
	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/pool"
)

// assignment is one partition from the moment in which it is assigned to us
// until it is taken away.
type assignment struct {
	partition int32
	life      *lifetime.Lifetime // of its handlers
	tasks     *pool.Owner        // its handlers
	handlers  sync.WaitGroup     // admitted and not returned
	moved     broadcast.Signal   // committed has gone up
	refusal   error              // of the last commit, nil where it was taken; written by the one commit under way

	mu sync.Mutex
	offsets
	policy commitPolicy
	end    int64 // the partition's last stable offset when it was asked for; -1 before that
}

// newAssignment makes the assignment of a partition. Its handlers are cut when
// life is; a stop of life reaches them through halt, once nothing more is
// polled.
func newAssignment(partition int32, life *lifetime.Lifetime, tasks *pool.Owner, policy commitPolicy) *assignment {
	return &assignment{
		partition: partition, life: lifetime.New(life.Calls()), tasks: tasks, policy: policy,
		offsets: offsets{tracker: newTracker(), committed: -1, state: recovering}, end: -1,
	}
}

// fetched takes the offset that the group had when the partition was assigned,
// and reports whether the journal is to be read.
func (a *assignment) fetched(committed int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.policy.outlives() {
		return true
	}
	a.committed = max(a.committed, committed)
	a.state.advance(reading)
	return false
}

// recovered takes what the journal says of earlier owners. Committed says that
// a worker has committed the start.
func (a *assignment) recovered(f journal.Found, committed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policy.recovered(&a.offsets, f, committed)
	a.state.advance(reading)
}

// admit notes the record, or reports false where it must not be handled: the
// partition is on its way out, the record was read before, or it is finished.
// An admitted record must be started.
func (a *assignment) admit(r *kgo.Record) (progress message.Progress, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := r.Timestamp
	if !models.UsableTime(at) {
		at = time.Now() // its age is not known: it counts from when it was read
	}
	if a.state >= stopping || !a.tracker.admit(r.Offset, r.LeaderEpoch, at) {
		return progress, false
	}
	progress, finished := a.policy.admit(r)
	if finished {
		a.tracker.finish(r.Offset)
		return progress, false
	}
	a.handlers.Add(1) // under the lock: once stopping is seen, nobody is added
	return progress, true
}

// pass notes that nothing is to be done up to an offset; see tracker.pass.
func (a *assignment) pass(offset int64, epoch int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state < stopping {
		a.tracker.pass(offset, epoch)
	}
}

func (a *assignment) finish(rec *models.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tracker.finish(rec.Offset)
	a.policy.checkpoint(keyOf(rec), message.Resolved{}) // its final event says more
}

// checkpoint has the next commits say which recipients of a record need no
// further call though its round of calls has not ended. Empty takes that back.
// It reports whether a commit is wanted.
func (a *assignment) checkpoint(rec *models.Record, r message.Resolved) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.policy.checkpoint(keyOf(rec), r)
}

func keyOf(rec *models.Record) journal.Key {
	return journal.Key{Offset: rec.Offset, Timestamp: rec.Timestamp.UnixMilli()}
}

// ask has the next commit pass the record, and reports whether one did already.
func (a *assignment) ask(offset int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policy.ask(offset)
	return a.committed > offset
}

// outcome reports whether a commit has passed the record, and whether that is
// final. It stops the assignment, so that no later commit passes a record whose
// outcome is not known.
func (a *assignment) outcome(offset int64) (passed, final bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.advance(stopping)
	return a.committed > offset, !a.policy.inDoubt(offset)
}

// passed reports whether a commit has passed the record. All that wait ask when
// their assignment stops: stats would go through the whole tracker for each.
func (a *assignment) passed(offset int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.committed > offset
}

// commit is what one commit says of a partition.
type commit struct {
	position

	metadata string
}

// toCommit returns what is committable and not committed yet.
func (a *assignment) toCommit() (c commit, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == closed {
		return c, false
	}
	if c.position, ok = a.policy.next(&a.offsets); ok {
		c.metadata = a.policy.metadata(c.offset)
	}
	return c, ok
}

func (a *assignment) acknowledged(c commit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.offset > a.committed {
		a.committed = c.offset
		a.moved.Send()
	}
	a.policy.acknowledged(&a.offsets)
}

// refused notes that Kafka did certainly not take the last commit.
func (a *assignment) refused() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.policy.refused()
}

// idleAt returns the position of a partition in which nothing is unfinished,
// -1 while it has none; false while something is.
func (a *assignment) idleAt() (int64, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _, busy := a.tracker.oldest()
	return max(a.tracker.next.offset, a.committed), !busy && a.state == reading
}

// startAt lets a partition that was never committed, and of which nothing was
// read, begin at an offset, and reports whether it did. Before the group has
// said what it had, a commit could take that back.
func (a *assignment) startAt(offset int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	begins := a.state == reading && a.committed < 0 && a.tracker.last < 0 && a.tracker.next.offset < 0
	if begins {
		a.tracker.next.offset = offset
	}
	return begins
}

// wantFrom returns where a new assignment goes on when the log was cut at an
// offset: there, or at the first record before it that is neither finished nor
// committed.
func (a *assignment) wantFrom(cut int64) journal.Want {
	a.mu.Lock()
	defer a.mu.Unlock()
	want := journal.Want{Partition: a.partition, Committed: cut}
	if oldest, _, ok := a.tracker.oldest(); ok {
		want.Committed = min(cut, max(oldest, a.committed))
	}
	if want.Committed >= a.tracker.next.offset { // before it the notes are gone, and the journal is found by time
		want.Metadata = a.policy.metadata(want.Committed)
	}
	return want
}

// Partition is how far one has come that is assigned to us.
type Partition struct {
	Number     int32
	Unfinished int       // admitted and not finished
	Committed  int64     // the committed offset; -1 while there is none
	Lag        int64     // offsets from the committed to the last stable one; -1 while it is not known
	Oldest     time.Time // of the record that keeps the offset from going on, or when it was read where its time is not usable; zero while there is none
	Pin        int64     // that record's offset
}

func (a *assignment) stats() Partition {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := Partition{Number: a.partition, Unfinished: a.tracker.unfinished(), Committed: a.committed, Lag: -1}
	if offset, at, ok := a.tracker.oldest(); ok {
		p.Pin, p.Oldest = offset, at
	}
	if a.end >= 0 && a.committed >= 0 {
		p.Lag = max(0, a.end-a.committed)
	}
	return p
}
