package consumer

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
)

// commitPolicy is all in which the two delivery guarantees differ: at least
// once, a record is committed after its outcome; at most once, before its first
// call. Each assignment has its own, and calls it with its mutex held.
type commitPolicy interface {
	// outlives reports that no other worker reads a committed record. Its
	// handler goes on when the partition is gone, and needs neither membership
	// of the group nor the journal of what earlier owners did.
	outlives() bool

	// recovered takes what the journal says. Committed says that a worker has
	// committed the start.
	recovered(o *offsets, f journal.Found, committed bool)

	// admit returns how far earlier owners got with a record, and whether
	// that is its end.
	admit(r *kgo.Record) (p message.Progress, finished bool)

	// checkpoint replaces the record's checkpoint, and reports whether a
	// commit is wanted. An empty one is none.
	checkpoint(k journal.Key, r message.Resolved) bool

	// ask wants the next commit to pass a record whose outcome is not known.
	ask(offset int64)

	// inDoubt reports whether a commit that may yet be taken would pass the
	// record.
	inDoubt(offset int64) bool

	// next returns the position to commit now, or false where Kafka has all.
	next(o *offsets) (position, bool)

	// metadata goes with a commit of that offset.
	metadata(offset int64) string

	// acknowledged notes that Kafka has taken the last commit, and refused
	// that it has not.
	acknowledged(o *offsets)
	refused()
}

// offsets is how far an assignment has come.
type offsets struct {
	tracker   *tracker
	committed int64 // acknowledged by Kafka; -1 before the first commit
	state     state
}
