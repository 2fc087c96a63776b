package consumer

import (
	"sort"
	"time"
)

// tracker knows which offsets of one partition are finished and how far the
// offset may be committed: never past a record that is not finished. It is
// pure state for one assignment and not safe for concurrent use.
//
// Invariants, for any order of completions:
//   - committable never falls, and never passes an unfinished record
//   - it passes a record as soon as that and all before it are finished, and
//     offsets that no record has with the record before them
//   - finishing an offset twice, or one never admitted, changes nothing
type tracker struct {
	entries []entry // admitted and not yet passed, ascending by offset
	last    int64   // the highest offset admitted, or -1
	next    position
}

type entry struct {
	offset   int64
	epoch    int32 // leader epoch of the record
	finished bool
	at       int64 // the record's own time, in milliseconds since 1970
}

// position is what a commit says: the offset to go on at, and the leader
// epoch of the record before it.
type position struct {
	offset int64
	epoch  int32
}

func newTracker() *tracker {
	return &tracker{last: -1, next: position{offset: -1, epoch: -1}}
}

// admit notes a record that was read. It reports false, and notes nothing,
// when offset does not lie above all before it: it was admitted already.
func (t *tracker) admit(offset int64, epoch int32, at time.Time) bool {
	if offset <= t.last {
		return false
	}
	t.last = offset
	t.entries = append(t.entries, entry{offset: offset, epoch: epoch, at: at.UnixMilli()})
	return true
}

// pass notes that no record lies between the last one admitted and offset,
// nor at offset: transactions' markers, records that were rolled back or that
// compaction has removed. Epoch is the leader epoch there, -1 for unknown. An
// offset that was admitted or passed already changes nothing.
func (t *tracker) pass(offset int64, epoch int32) {
	if t.admit(offset, epoch, time.Time{}) {
		t.finish(offset)
	}
}

// finish notes that the record's outcome is durable.
func (t *tracker) finish(offset int64) {
	i := sort.Search(len(t.entries), func(i int) bool { return t.entries[i].offset >= offset })
	if i == len(t.entries) || t.entries[i].offset != offset {
		return
	}
	t.entries[i].finished = true
	passed := 0
	for passed < len(t.entries) && t.entries[passed].finished {
		t.next = position{offset: t.entries[passed].offset + 1, epoch: t.entries[passed].epoch}
		passed++
	}
	t.entries = t.entries[passed:]
	if len(t.entries) == 0 {
		t.entries = nil // let go of the array that the slice has walked through
	}
}

// oldest returns the record that keeps the offset from going on, and its
// time; false while there is none.
func (t *tracker) oldest() (offset int64, at time.Time, ok bool) {
	if len(t.entries) == 0 {
		return 0, at, false
	}
	return t.entries[0].offset, time.UnixMilli(t.entries[0].at), true
}

// unfinished counts the admitted records that are not finished.
func (t *tracker) unfinished() int {
	n := 0
	for _, e := range t.entries {
		if !e.finished {
			n++
		}
	}
	return n
}

// committable returns the position to commit, and false while there is none.
func (t *tracker) committable() (position, bool) { return t.next, t.next.offset >= 0 }
