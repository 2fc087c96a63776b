package consumer

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// tally counts what has happened since the start.
type tally struct {
	commits, commitFailures  atomic.Uint64
	journalRecords           atomic.Uint64
	finished, resumed, fresh atomic.Uint64
}

// Stats is what a consumer has done since its start, and what it has in hand.
type Stats struct {
	PendingMessages int   // read and not finished
	PendingBytes    int64 // of payload, of those

	Commits        uint64 // acknowledged
	CommitFailures uint64 // refused, in whole or in part, or not answered
	JournalRecords uint64 // events read back

	// Requests that were read again after an assignment, by what the journal
	// said of them: ended, begun, nothing.
	Finished, Resumed, New uint64

	Partitions []Partition // owned, ascending
}

// Partition is one that is ours.
type Partition struct {
	Number     int32
	Unfinished int       // admitted and not finished
	Committed  int64     // the committed offset; -1 while there is none
	Lag        int64     // offsets from the committed to the last stable one; -1 while it is not known
	Oldest     time.Time // of the record that keeps the offset from going on, or when it was read where its time is not usable; zero while there is none
	Pin        int64     // that record's offset
}

// Stats returns the present numbers. It may be called at any time.
func (c *Consumer) Stats() Stats {
	s := Stats{
		Commits: c.tally.commits.Load(), CommitFailures: c.tally.commitFailures.Load(),
		JournalRecords: c.tally.journalRecords.Load(),
		Finished:       c.tally.finished.Load(), Resumed: c.tally.resumed.Load(), New: c.tally.fresh.Load(),
	}
	s.PendingMessages, s.PendingBytes = c.pending.count()
	for _, a := range c.assignments() {
		s.Partitions = append(s.Partitions, a.stats())
	}
	slices.SortFunc(s.Partitions, func(a, b Partition) int { return cmp.Compare(a.Number, b.Number) })
	return s
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

// measureInterval is how often the brokers are asked where the topic ends, for
// a reader of committed records: at the last stable offset. A
// fetch tells it too, but not while reading pauses, and that is when somebody
// wants to know.
const measureInterval = 5 * time.Second

// measureLoop keeps the ends of the owned partitions until ctx ends.
func (c *Consumer) measureLoop(ctx context.Context) {
	tick := time.NewTicker(measureInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		c.measure(ctx)
	}
}

func (c *Consumer) measure(ctx context.Context) {
	owned := c.assignments()
	if len(owned) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, measureInterval)
	defer cancel()
	// What is behind the last stable offset waits for its producer, not for us.
	ends, err := kadm.NewClient(c.client).ListCommittedOffsets(ctx, c.opts.Topic)
	if err != nil {
		return // readiness tells that the brokers do not answer
	}
	for _, a := range owned {
		if end, ok := ends.Lookup(c.opts.Topic, a.partition); ok && end.Err == nil {
			a.mu.Lock()
			a.end = end.Offset
			a.mu.Unlock()
			c.passGaps(ctx, a, end.Offset)
		}
	}
}
