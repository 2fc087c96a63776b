package consumer

import (
	"cmp"
	"slices"
)

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

// Stats returns the present numbers. It may be called at any time.
func (c *Consumer) Stats() Stats {
	s := Stats{
		Commits: c.tally.commits.Load(), CommitFailures: c.tally.commitFailures.Load(),
		JournalRecords: c.tally.journalRecords.Load(),
		Finished:       c.tally.finished.Load(), Resumed: c.tally.resumed.Load(), New: c.tally.new.Load(),
	}
	s.PendingMessages, s.PendingBytes = c.handlers.pending.count()
	for _, a := range c.partitions.all() {
		s.Partitions = append(s.Partitions, a.stats())
	}
	slices.SortFunc(s.Partitions, func(a, b Partition) int { return cmp.Compare(a.Number, b.Number) })
	return s
}
