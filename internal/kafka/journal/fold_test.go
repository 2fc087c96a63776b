package journal_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

func at(n int) time.Time { return time.Date(2025, 10, 16, 9, 0, n, 0, time.UTC) }

func retry(n int, open string) journal.Event {
	meta := map[string]string{models.MetaNextAttemptAt: at(10 * n).Format(time.RFC3339Nano)}
	if open != "" {
		meta[models.MetaOpenRecipients] = open
	}
	return journal.Event{Type: models.EventRetry, Attempt: n, Timestamp: at(n), Meta: meta}
}

func attempt(n int) journal.Event { return journal.Event{Type: models.EventAttempt, Attempt: n} }

// takenBack is the retry of an attempt whose run was published and not made.
func takenBack(n, run int, open string) journal.Event {
	e := retry(n, open)
	e.Meta[models.MetaNotCalled] = strconv.Itoa(run)
	return e
}

// due is a retry with another time for the next attempt.
func due(e journal.Event, n int) journal.Event {
	e.Meta[models.MetaNextAttemptAt] = at(n).Format(time.RFC3339Nano)
	return e
}

// again is an attempt's later run.
func again(n, run int) journal.Event {
	return journal.Event{Type: models.EventAttempt, Attempt: n, Run: run}
}

// whyRefused is a retry that says why recipient 0 was refused.
func whyRefused(n int, text, code string) journal.Event {
	e := retry(n, "2")
	e.Meta[models.MetaRefusedRecipients] = "0"
	e.Meta[models.MetaRefusedError], e.Meta[models.MetaRefusedCode] = text, code
	return e
}

func TestFold(t *testing.T) {
	t.Parallel()
	queued := journal.Event{Type: models.EventQueued}
	refused := retry(1, "2")
	refused.Meta[models.MetaRefusedRecipients], refused.Meta[models.MetaAssumedRecipients] = "0", "1"
	tests := []struct {
		name     string
		events   []journal.Event
		want     message.Progress
		finished bool
	}{
		{"nothing", nil, message.Progress{}, false},
		{"queued", []journal.Event{queued}, message.Progress{Queued: true}, false},
		{"under way", []journal.Event{queued, attempt(1)}, message.Progress{Queued: true, Attempts: 1, UnderWay: true}, false},
		{"waits", []journal.Event{queued, attempt(1), retry(1, "")}, message.Progress{Queued: true, Attempts: 1, NextAt: at(10), FirstError: at(1), LastEvent: at(1)}, false},
		{"waits with open recipients", []journal.Event{queued, attempt(1), refused}, message.Progress{
			Queued: true, Attempts: 1, Reached: true, Open: []int{2}, Refused: []int{0}, Indeterminate: []int{1}, NextAt: at(10), FirstError: at(1), LastEvent: at(1),
		}, false},
		{"knows why one was refused", []journal.Event{queued, attempt(1), whyRefused(1, "smtp 550 first", "550")}, message.Progress{
			Queued: true, Attempts: 1, Reached: true, Open: []int{2}, Refused: []int{0}, RefusedFor: "smtp 550 first", RefusedBy: 550,
			NextAt: at(10), FirstError: at(1), LastEvent: at(1),
		}, false},
		{"second under way", []journal.Event{queued, attempt(1), retry(1, "0,2"), attempt(2)}, message.Progress{
			Queued: true, Attempts: 2, UnderWay: true, Reached: true, Open: []int{0, 2}, NextAt: at(10), FirstError: at(1), LastEvent: at(1),
		}, false},
		{"an attempt alone says that queued was there", []journal.Event{attempt(2)}, message.Progress{Queued: true, Attempts: 2, UnderWay: true}, false},
		{"taken back before its call", []journal.Event{queued, attempt(1), takenBack(1, 1, "")}, message.Progress{Queued: true, Withdrawn: 1, NextAt: at(10), FirstError: at(1), LastEvent: at(1)}, false},
		{"made at last", []journal.Event{queued, attempt(1), takenBack(1, 1, ""), again(1, 2)}, message.Progress{Queued: true, Attempts: 1, UnderWay: true, NextAt: at(10), FirstError: at(1), LastEvent: at(1)}, false},
		{"taken back twice", []journal.Event{queued, again(1, 2), takenBack(1, 1, ""), takenBack(1, 2, "")}, message.Progress{Queued: true, Withdrawn: 2, NextAt: at(10), FirstError: at(1), LastEvent: at(1)}, false},
		{"the third taken back in part", []journal.Event{queued, attempt(2), retry(2, "0,1"), attempt(3), takenBack(3, 1, "1")}, message.Progress{
			Queued: true, Attempts: 2, Withdrawn: 1, Reached: true, Open: []int{1}, NextAt: at(30), FirstError: at(2), LastEvent: at(3),
		}, false},
		{"taken back with a time, then with an earlier one", []journal.Event{queued, attempt(1), due(takenBack(1, 1, ""), 50), again(1, 2), takenBack(1, 2, "")}, message.Progress{Queued: true, Withdrawn: 2, NextAt: at(50), FirstError: at(1), LastEvent: at(1)}, false},
		{"made and failed", []journal.Event{queued, attempt(1), takenBack(1, 1, ""), again(1, 2), retry(1, "")}, message.Progress{Queued: true, Attempts: 1, NextAt: at(10), FirstError: at(1), LastEvent: at(1)}, false},
		{"sent", []journal.Event{queued, attempt(1), {Type: models.EventSent, Attempt: 1}}, message.Progress{}, true},
		{"failed before its attempt is seen", []journal.Event{{Type: models.EventFailed}, retry(1, "1"), attempt(1)}, message.Progress{}, true},
	}
	for _, tt := range tests {
		f := journal.NewFold()
		k := journal.Key{Offset: 5, Timestamp: 7}
		for _, e := range tt.events {
			f.Add(k, e)
		}
		got, finished := f.Look(k)
		if diff := cmp.Diff(tt.want, got); diff != "" || finished != tt.finished {
			t.Errorf("%s: finished %v, want %v; progress (-want +got):\n%s", tt.name, finished, tt.finished, diff)
		}
		if p, finished := f.Look(journal.Key{Offset: 5, Timestamp: 8}); finished || p.Attempts > 0 {
			t.Errorf("%s: the events count for another record at the same offset", tt.name)
		}
	}
}

// The order in which events are seen, and how often, changes nothing.
func TestFoldTakesEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		history := []journal.Event{{Type: models.EventQueued}}
		for n := 1; n <= rapid.IntRange(0, 4).Draw(t, "attempts"); n++ {
			history = append(history, attempt(n))
			for run := 1; run <= rapid.IntRange(0, 2).Draw(t, "taken back"); run++ {
				next := rapid.IntRange(0, 59).Draw(t, "due")
				history = append(history, due(takenBack(n, run, "0,1,2"), next))
				if rapid.Bool().Draw(t, "again") {
					history = append(history, again(n, run+1))
				}
			}
			if rapid.Bool().Draw(t, "retry") {
				history = append(history, retry(n, []string{"", "0", "0,1", "1,2"}[rapid.IntRange(0, 3).Draw(t, "open")]))
			}
			for _, text := range []string{"smtp 550 a", "smtp 551 b"} { // two owners may tell
				if rapid.Bool().Draw(t, text) {
					history = append(history, whyRefused(n, text, text[5:8]))
				}
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
			history = append(history, journal.Event{Type: models.EventSent})
		}
		k := journal.Key{Offset: 1}
		straight := journal.NewFold()
		for _, e := range history {
			straight.Add(k, e)
		}
		mixed := append(history, history[:rapid.IntRange(0, len(history)).Draw(t, "repeated")]...)
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		shuffled := journal.NewFold()
		for _, e := range mixed {
			shuffled.Add(k, e)
		}
		want, wantDone := straight.Look(k)
		got, gotDone := shuffled.Look(k)
		if diff := cmp.Diff(want, got); diff != "" || wantDone != gotDone {
			t.Fatalf("%v differs from %v: %s", mixed, history, diff)
		}
	})
}

// A request is finished if and only if its own end was seen, wherever its
// offset lies and whichever records stood there before.
func TestFoldKnowsWhoIsFinished(t *testing.T) {
	t.Parallel()
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
			e := rapid.SampledFrom([]journal.Event{
				{Type: models.EventQueued}, attempt(1), retry(1, ""), {Type: models.EventSent}, {Type: models.EventFailed},
			}).Draw(t, "event")
			f.Add(k, e)
			seen[k] = seen[k] || e.Type == models.EventSent || e.Type == models.EventFailed
		}
		if f.Len() != len(seen) {
			t.Fatalf("%d requests, want %d", f.Len(), len(seen))
		}
		k := keys.Draw(t, "asked for")
		if _, finished := f.Look(k); finished != seen[k] {
			t.Fatalf("%v: finished is %v, want %v", k, finished, seen[k])
		}
	})
}

// BenchmarkFinishedRequests tells what a finished request costs in memory: a
// log without any commit may hold millions of them.
func BenchmarkFinishedRequests(b *testing.B) {
	b.ReportAllocs()
	f, n := journal.NewFold(), int64(0)
	for b.Loop() {
		f.Add(journal.Key{Offset: n, Timestamp: 1 << 41}, journal.Event{Type: models.EventSent})
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

// What a dead owner had sent may land behind a retry that its successor wrote
// without having read it: who was resolved for either is not called again.
func TestLateRetryOpensNobody(t *testing.T) {
	t.Parallel()
	k := journal.Key{Offset: 1}
	events := []journal.Event{attempt(1), attempt(2), retry(2, "1,2"), retry(1, "0,1")}
	for range 4 { // each of them first, once
		f := journal.NewFold()
		for _, e := range events {
			f.Add(k, e)
		}
		if p, _ := f.Look(k); !slices.Equal(p.Open, []int{1}) || p.Attempts != 2 || p.UnderWay {
			t.Errorf("%v: %+v, want only recipient 1 open after attempt 2", events, p)
		}
		events = append(events[1:], events[0])
	}
}
