package message_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

func at(n int) time.Time { return time.Date(2025, 10, 16, 9, 0, n, 0, time.UTC) }

func queued() models.StatusEvent { return models.StatusEvent{EventType: models.EventQueued} }

// attempt is an attempt's first run.
func attempt(n int) models.StatusEvent {
	return models.StatusEvent{EventType: models.EventAttempt, Attempt: n}
}

// again is an attempt's later run.
func again(n, run int) models.StatusEvent {
	return models.StatusEvent{EventType: models.EventAttempt, Attempt: n, Run: run}
}

// retry is that of attempt n, with further entries of its meta.
func retry(n int, open string, meta ...string) models.StatusEvent {
	m := map[string]string{models.MetaNextAttemptAt: at(10 * n).Format(time.RFC3339Nano)}
	if open != "" {
		m[models.MetaOpenRecipients] = open
	}
	for i := 0; i < len(meta); i += 2 {
		m[meta[i]] = meta[i+1]
	}
	return models.StatusEvent{EventType: models.EventRetry, Attempt: n, Timestamp: at(n), ProviderResponse: &models.ProviderResponse{Meta: m}}
}

// withdrawn is the retry of an attempt whose run was published and not made.
func withdrawn(n, run int, open string) models.StatusEvent {
	return retry(n, open, models.MetaNotCalled, strconv.Itoa(run))
}

// due is a retry with another time for the next attempt.
func due(e models.StatusEvent, n int) models.StatusEvent {
	e.ProviderResponse.Meta[models.MetaNextAttemptAt] = at(n).Format(time.RFC3339Nano)
	return e
}

// whyRefused is a retry that says why recipient 0 was refused.
func whyRefused(n int, text, code string) models.StatusEvent {
	return retry(n, "2", models.MetaRefusedRecipients, "0", models.MetaRefusedError, text, models.MetaRefusedCode, code)
}

// known is what a message's next owner knows of it.
type known struct {
	queued, underWay bool
	next, run        int
	states           string // of three recipients, a letter each
	refused          string
	code             int
	due, first, last time.Time
}

// after returns what is known after some events, to an owner who begins at 59.
func after(events ...models.StatusEvent) known {
	var p message.Progress
	for _, e := range events {
		p.Apply(&e)
	}
	k := known{queued: p.Queued(), underWay: p.UnderWay(), due: p.NextAt()}
	k.next, k.run = p.Next()
	p.Begin([]int{0, 1, 2}, at(59))
	for i := range 3 {
		k.states += string("OUARI"[p.State(i)])
	}
	if f := p.FailureOf(message.Refused); f != nil {
		k.refused, k.code = f.Err.Error(), f.Response.Code
	}
	k.first, k.last = p.FirstFailed(), p.LastAttempt()
	return k
}

func TestFold(t *testing.T) {
	t.Parallel()
	refused := retry(1, "2", models.MetaRefusedRecipients, "0", models.MetaAssumedRecipients, "1")
	const earlier = "recipient refused in an earlier attempt"
	tests := []struct {
		name   string
		events []models.StatusEvent
		want   known
	}{
		{"nothing", nil, known{next: 1, run: 1, states: "OOO"}},
		{"queued", []models.StatusEvent{queued()}, known{queued: true, next: 1, run: 1, states: "OOO"}},
		{"under way", []models.StatusEvent{queued(), attempt(1)}, known{queued: true, underWay: true, next: 2, run: 1, states: "UUU", first: at(59), last: at(59)}},
		{"waits", []models.StatusEvent{queued(), attempt(1), retry(1, "")}, known{queued: true, next: 2, run: 1, states: "OOO", due: at(10), first: at(1), last: at(1)}},
		{"waits with open recipients", []models.StatusEvent{queued(), attempt(1), refused}, known{
			queued: true, next: 2, run: 1, states: "RIO", refused: earlier, due: at(10), first: at(1), last: at(1),
		}},
		{"knows why one was refused", []models.StatusEvent{queued(), attempt(1), whyRefused(1, "smtp 550 first", "550")}, known{
			queued: true, next: 2, run: 1, states: "RAO", refused: "smtp 550 first", code: 550, due: at(10), first: at(1), last: at(1),
		}},
		{"second under way", []models.StatusEvent{queued(), attempt(1), retry(1, "0,2"), attempt(2)}, known{
			queued: true, underWay: true, next: 3, run: 1, states: "UAU", due: at(10), first: at(1), last: at(1),
		}},
		{"an attempt alone says that queued was there", []models.StatusEvent{attempt(2)}, known{queued: true, underWay: true, next: 3, run: 1, states: "UUU", first: at(59), last: at(59)}},
		{"withdrawn before its call", []models.StatusEvent{queued(), attempt(1), withdrawn(1, 1, "")}, known{queued: true, next: 1, run: 2, states: "OOO", due: at(10), first: at(1), last: at(1)}},
		{"made at last", []models.StatusEvent{queued(), attempt(1), withdrawn(1, 1, ""), again(1, 2)}, known{
			queued: true, underWay: true, next: 2, run: 1, states: "UUU", due: at(10), first: at(1), last: at(1),
		}},
		{"withdrawn twice", []models.StatusEvent{queued(), again(1, 2), withdrawn(1, 1, ""), withdrawn(1, 2, "")}, known{queued: true, next: 1, run: 3, states: "OOO", due: at(10), first: at(1), last: at(1)}},
		{"the third withdrawn in part", []models.StatusEvent{queued(), attempt(2), retry(2, "0,1"), attempt(3), withdrawn(3, 1, "1")}, known{
			queued: true, next: 3, run: 2, states: "AOA", due: at(30), first: at(2), last: at(3),
		}},
		{"withdrawn with a time, then with an earlier one", []models.StatusEvent{queued(), attempt(1), due(withdrawn(1, 1, ""), 50), again(1, 2), withdrawn(1, 2, "")}, known{
			queued: true, next: 1, run: 3, states: "OOO", due: at(50), first: at(1), last: at(1),
		}},
		{"made and failed", []models.StatusEvent{queued(), attempt(1), withdrawn(1, 1, ""), again(1, 2), retry(1, "")}, known{
			queued: true, next: 2, run: 1, states: "OOO", due: at(10), first: at(1), last: at(1),
		}},
		{"foreign numbers", []models.StatusEvent{attempt(1), retry(1, "0,x,-1,9223372036854775807,16384,3", models.MetaNotCalled, "x")}, known{
			queued: true, next: 2, run: 1, states: "OAA", due: at(10), first: at(1), last: at(1),
		}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, after(tt.events...), cmp.AllowUnexported(known{})); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The order in which events are seen, and how often, changes nothing.
func TestFoldTakesEventsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		history := []models.StatusEvent{queued()}
		for n := 1; n <= rapid.IntRange(0, 4).Draw(t, "attempts"); n++ {
			history = append(history, attempt(n))
			for run := 1; run <= rapid.IntRange(0, 2).Draw(t, "withdrawn"); run++ {
				history = append(history, due(withdrawn(n, run, "0,1,2"), rapid.IntRange(0, 59).Draw(t, "due")))
				if rapid.Bool().Draw(t, "again") {
					history = append(history, again(n, run+1))
				}
			}
			if rapid.Bool().Draw(t, "retry") {
				open := rapid.SampledFrom([]string{"", "0", "0,1", "1,2"}).Draw(t, "open")
				history = append(history, retry(n, open, models.MetaAssumedRecipients, rapid.SampledFrom([]string{"", "0", "2"}).Draw(t, "indeterminate")))
			}
			for _, text := range []string{"smtp 550 a", "smtp 551 b"} { // two owners may tell
				if rapid.Bool().Draw(t, text) {
					history = append(history, whyRefused(n, text, text[5:8]))
				}
			}
		}
		mixed := slices.Concat(history, history[:rapid.IntRange(0, len(history)).Draw(t, "repeated")])
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if diff := cmp.Diff(after(history...), after(mixed...), cmp.AllowUnexported(known{})); diff != "" {
			t.Fatalf("%v differs from %v: %s", mixed, history, diff)
		}
	})
}

// What a dead owner had sent may land behind a retry that its successor wrote
// without having read it: who was resolved for either is not called again.
func TestLateRetryOpensNobody(t *testing.T) {
	t.Parallel()
	events := []models.StatusEvent{attempt(1), attempt(2), retry(2, "1,2"), retry(1, "0,1")}
	for range events { // each of them first, once
		if k := after(events...); k.states != "AOA" || k.next != 3 || k.underWay {
			t.Errorf("%v: %+v, want only recipient 1 open after attempt 2", events, k)
		}
		events = append(events[1:], events[0])
	}
}

// What a checkpoint says is as good as an event, and foreign numbers in it mean
// nobody.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	var p message.Progress
	e := attempt(1)
	p.Apply(&e)
	p.Checkpoint(message.Resolved{Accepted: []int{0, 3, 1 << 14}, Refused: []int{-1}, Indeterminate: []int{2}})
	p.Begin([]int{0, 1, 2}, at(1))
	want := message.Resolved{Accepted: []int{0}, Indeterminate: []int{2}}
	if diff := cmp.Diff(want, p.Resolved()); diff != "" || p.State(1) != message.Unclassified {
		t.Errorf("recipient 1 is %v, resolved (-want +got):\n%s", p.State(1), diff)
	}
}
