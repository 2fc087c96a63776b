package journal_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// event is one without more to say.
func event(kind models.EventType, n int) *models.StatusEvent {
	return &models.StatusEvent{EventType: kind, Attempt: n}
}

// retry is that of attempt n, which leaves these recipients open.
func retry(n int, open string) *models.StatusEvent {
	e := event(models.EventRetry, n)
	e.ProviderResponse = &models.ProviderResponse{Meta: map[string]string{models.MetaOpenRecipients: open}}
	return e
}

// ends are the events after which nothing is asked of a request any more.
var ends = []models.EventType{models.EventSent, models.EventFailed, models.EventCanceled}

// A request is finished if and only if its own end was seen, wherever its
// offset lies and whichever records stood there before.
func TestFoldKnowsWhoIsFinished(t *testing.T) {
	t.Parallel()
	kinds := models.EventTypes()
	rapid.Check(t, func(t *rapid.T) {
		f, seen := journal.NewFold(), map[journal.Key]bool{}
		keys := rapid.Custom(func(t *rapid.T) journal.Key {
			return journal.Key{
				Offset:    rapid.SampledFrom([]int64{-1, 0, 1, 255, 256, 257, 1 << 40}).Draw(t, "offset"),
				Timestamp: rapid.Int64Range(-1, 2).Draw(t, "timestamp"),
			}
		})
		for range rapid.IntRange(0, 100).Draw(t, "events") {
			k := keys.Draw(t, "of")
			kind := rapid.SampledFrom(kinds[:]).Draw(t, "event")
			f.Add(k, event(kind, 1))
			seen[k] = seen[k] || slices.Contains(ends, kind)
		}
		if f.Len() != len(seen) {
			t.Fatalf("%d requests, want %d", f.Len(), len(seen))
		}
		k := keys.Draw(t, "asked for")
		if p, finished := f.Look(k); finished != seen[k] || finished && p.Attempted() {
			t.Fatalf("%v: finished is %v with %+v, want %v", k, finished, p, seen[k])
		}
	})
}

// BenchmarkFinishedRequests tells what a finished request costs in memory: a
// log without any commit may hold millions of them.
func BenchmarkFinishedRequests(b *testing.B) {
	b.ReportAllocs()
	f, n, sent := journal.NewFold(), int64(0), event(models.EventSent, 1)
	for b.Loop() {
		f.Add(journal.Key{Offset: n, Timestamp: 1 << 41}, sent)
		n++
	}
}

// owner is one owner of a partition in the model: it admits requests in
// order, writes their events to the status log, and commits with a note.
type owner struct {
	notes    *journal.Notes
	admitted int64 // next request to admit
	acked    int64 // highest status offset it knows to be written, or -1
	open     []int64
	finished map[int64]bool
}

// model is a status log and what is committed.
type model struct {
	log       []int64 // the request of each status event
	committed int64
	from      int64 // where the commit says to read from
}

// recoverBy reads the log from where the commit says, as the next owner does.
func (m *model) recoverBy(t *rapid.T) *owner {
	for i, request := range m.log {
		if request >= m.committed && int64(i) < m.from {
			t.Fatalf("event %d of request %d lies before %d, where the commit of %d says to read from", i, request, m.from, m.committed)
		}
	}
	highest := int64(-1)
	for _, request := range m.log[m.from:] {
		if request >= m.committed {
			highest = max(highest, request)
		}
	}
	return &owner{notes: journal.NewNotes(m.committed, m.from, highest), admitted: m.committed, acked: -1, finished: map[int64]bool{}}
}

// Whatever happens, and however often owners die, also in the middle of a
// recovery: every event of a request at or behind the commit lies at or
// behind the position that the commit names.
func TestNotesNeverHideAnEvent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{}
		o := m.recoverBy(t)
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2: // admit a request
				o.notes.Admitted(o.admitted, o.acked+1)
				o.open = append(o.open, o.admitted)
				o.admitted++
			case 3, 4, 5: // write an event; its acknowledgement may be late
				if len(o.open) > 0 {
					m.log = append(m.log, rapid.SampledFrom(o.open).Draw(t, "event of"))
				}
			case 6: // acknowledgements arrive
				if n := int64(len(m.log)); n > 0 && n-1 > o.acked {
					o.acked = rapid.Int64Range(max(o.acked, 0), n-1).Draw(t, "acked")
				}
			case 7: // a request is finished
				if len(o.open) > 0 {
					i := rapid.IntRange(0, len(o.open)-1).Draw(t, "finishes")
					o.finished[o.open[i]] = true
					o.open = append(o.open[:i:i], o.open[i+1:]...)
				}
			case 8: // commit the finished prefix
				for o.finished[m.committed] {
					m.committed++
				}
				m.from = o.notes.At(m.committed)
			case 9: // the owner dies; another takes over
				o = m.recoverBy(t)
			}
		}
		m.recoverBy(t)
	})
}

func TestCommit(t *testing.T) {
	t.Parallel()
	position := journal.Position{Topic: [16]byte{1, 2, 255}, Partition: 7, Offset: 1 << 40}
	many := journal.Checkpoints{}
	for i := range 500 {
		many[journal.Key{Offset: int64(i), Timestamp: 1 << 41}] = message.Resolved{Accepted: []int{0, 99}}
	}
	for _, c := range []journal.Commit{
		{Position: position},
		{Position: position, Checkpoints: journal.Checkpoints{
			{Offset: 1 << 50, Timestamp: 1 << 41}: {Accepted: []int{0, 5, 99}},
			{Offset: 3}:                           {Accepted: []int{1}, Refused: []int{0, 2}, Indeterminate: []int{299}},
		}},
		{Position: position, Checkpoints: many},
	} {
		text := c.String()
		if len(text) > 4096 {
			t.Errorf("%d bytes, Kafka takes 4096", len(text))
		}
		got, ok := journal.ParseCommit(text)
		if !ok || got.Position != c.Position {
			t.Errorf("ParseCommit = %+v, %v, want %+v", got.Position, ok, c.Position)
		}
		for k, s := range c.Checkpoints {
			if found, ok := got.Checkpoints[k]; ok || k.Offset < 90 { // what does not fit is left out from the end
				if diff := cmp.Diff(s, found); diff != "" {
					t.Fatalf("%v of %d entries (-want +got):\n%s", k, len(c.Checkpoints), diff)
				}
			}
		}
	}
	text := journal.Commit{Position: position}.String()
	for _, foreign := range []string{"", "x", "mw1", "mw2," + text[4:], "mw1,00,1,2", "mw1,zz,1,2", text[:37] + "-1,5", text[:37] + "1,-5"} {
		if got, ok := journal.ParseCommit(foreign); ok {
			t.Errorf("ParseCommit(%q) = %+v, want foreign", foreign, got)
		}
	}
}

func FuzzParseCommit(f *testing.F) {
	f.Add(journal.Commit{Position: journal.Position{Partition: 3, Offset: 9}}.String())
	f.Add(journal.Commit{Checkpoints: journal.Checkpoints{{Offset: 3}: {Accepted: []int{1}}}}.String() + ";.;zz.1.-1.0.0")
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := journal.ParseCommit(s)
		if !ok {
			return
		}
		again, ok := journal.ParseCommit(c.String())
		if !ok || again.Position != c.Position || len(s) < 2000 && !cmp.Equal(c.Checkpoints, again.Checkpoints, cmpopts.EquateEmpty()) {
			t.Errorf("ParseCommit(%q) = %+v, which comes back as %+v", s, c, again)
		}
	})
}
