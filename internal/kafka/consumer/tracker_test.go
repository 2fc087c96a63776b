package consumer

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The model is the definition itself: the committable offset is one above the
// longest finished prefix of what was admitted or passed.
func TestTrackerAgainstItsDefinition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tr := newTracker()
		var admitted []int64
		finished := map[int64]bool{}
		offset := rapid.Int64Range(0, 1<<40).Draw(t, "start")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "pass") == 0 { // a marker, or more that no record has
				offset += rapid.Int64Range(1, 3).Draw(t, "gap")
				tr.pass(offset, int32(offset%7))
				tr.pass(offset-1, -1) // it is known already
				admitted, finished[offset] = append(admitted, offset), true
			} else if len(admitted) == 0 || rapid.Bool().Draw(t, "admit") {
				offset += rapid.Int64Range(1, 3).Draw(t, "gap") // compaction leaves gaps
				if !tr.admit(offset, int32(offset%7), time.Time{}) {
					t.Fatalf("admit(%d) = false above all before it", offset)
				}
				admitted = append(admitted, offset)
			} else {
				o := rapid.SampledFrom(admitted).Draw(t, "finish")
				tr.finish(o)
				finished[o] = true
			}
			want := int64(-1)
			for _, o := range admitted {
				if !finished[o] {
					break
				}
				want = o + 1
			}
			open, _, busy := tr.oldest()
			if busy != slices.ContainsFunc(admitted, func(o int64) bool { return !finished[o] }) || busy && finished[open] {
				t.Fatalf("oldest() = %d, %v; admitted %v, finished %v", open, busy, admitted, finished)
			}
			got, ok := tr.committable()
			if got.offset != want || ok != (want >= 0) {
				t.Fatalf("committable() = %d, %v, want %d; admitted %v, finished %v", got.offset, ok, want, admitted, finished)
			}
			if ok && got.epoch != int32((want-1)%7) {
				t.Fatalf("committable() epoch = %d, want that of record %d", got.epoch, want-1)
			}
		}
	})
}

func TestTrackerIgnoresWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	tr := newTracker()
	tr.admit(10, 0, time.Time{})
	tr.admit(12, 0, time.Time{})
	for _, offset := range []int64{9, 11, 13} {
		tr.finish(offset)
	}
	if got, ok := tr.committable(); ok {
		t.Errorf("committable() = %v after foreign completions, want none", got)
	}
	tr.pass(11, 0)
	tr.pass(12, 0)
	if got, ok := tr.committable(); ok {
		t.Errorf("committable() = %v when what is unfinished was passed, want none", got)
	}
	for _, offset := range []int64{12, 10, 3} {
		if tr.admit(offset, 0, time.Time{}) {
			t.Errorf("admit(%d) = true, want false: not above 12", offset)
		}
	}
}

func TestTrackerLetsGoOfPassedRecords(t *testing.T) {
	t.Parallel()
	tr := newTracker()
	for offset := range int64(1000) {
		tr.admit(offset, 0, time.Time{})
		tr.finish(offset)
	}
	if got := len(tr.entries); got != 0 {
		t.Errorf("%d entries kept after all were finished, want 0", got)
	}
}
