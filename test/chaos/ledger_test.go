package chaos_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// accepted is one line of the mock provider's ledger: a recipient that has
// the message.
type accepted struct {
	at        time.Time
	id        string
	recipient int
}

func readLedger(t *testing.T, path string) []accepted {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var list []accepted
	for line := range bytes.Lines(data) {
		var at string
		var a accepted
		var attempt int
		if _, err := fmt.Sscan(string(line), &at, &a.id, &attempt, &a.recipient); err != nil {
			t.Fatalf("ledger line %q: %v", line, err)
		}
		if a.at, err = time.Parse(time.RFC3339Nano, at); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

// whom names one recipient of one message.
type whom struct {
	id        string
	recipient int
}

// twice returns, for each line too many of a recipient, the index of the one
// that it repeats: the first that no other repeats. Which of several requests
// with one id it was that was called twice no ledger tells.
func twice(list []accepted, ids requests) []int {
	lines := map[whom][]int{}
	var repeated []int
	for i, a := range list {
		key := whom{a.id, a.recipient}
		if n := len(lines[key]) - max(ids[a.id], 1); n >= 0 {
			repeated = append(repeated, lines[key][n])
		}
		lines[key] = append(lines[key], i)
	}
	return repeated
}

// missing returns how many recipients of requests were not reached.
func missing(list []accepted, ids requests, recipients int) int {
	reached := map[whom]int{}
	for _, a := range list {
		reached[whom{a.id, a.recipient}]++
	}
	lost := 0
	for id, with := range ids {
		for recipient := range recipients {
			lost += max(0, with-reached[whom{id, recipient}])
		}
	}
	return lost
}

// checkHistories reports messages that have not ended as sent, events that are
// in another partition than that of their request's number, and attempts that
// were spent and forgotten: their numbers would repeat. It returns the events by
// request.
//
// Two things are no fault. What a worker that was killed, or stood still, had
// handed over to be written may reach the log after its successor has read it, and
// has ended the message: no call was made on the strength of such an event, for it
// was never acknowledged. And who stood still tells what came of its calls.
func checkHistories(t *testing.T, s *stage.Stage, ids requests, list []accepted) map[string][]stage.Event {
	t.Helper()
	calledTwice := map[string]bool{}
	for _, first := range twice(list, ids) {
		calledTwice[list[first].id] = true
	}
	all, histories, late, takenBack := s.SoFar(), map[string][]stage.Event{}, 0, 0
	for id, with := range ids {
		ofID := map[string][]stage.Event{}
		for _, e := range all[id] {
			ofID[e.Source()] = append(ofID[e.Source()], e)
			if isTakenBack(e) {
				takenBack++
			}
			if !s.InPlace(e) {
				t.Errorf("%s: an event of %s is in partition %d", id, e.Source(), e.Record.Partition)
			}
		}
		if len(ofID) != with {
			t.Errorf("%s: %d requests have events, want %d", id, len(ofID), with)
		}
		for source, events := range ofID {
			repeated, wrong := checkHistory(events, calledTwice[id])
			if late += repeated; len(wrong) > 0 {
				t.Errorf("%s of %s: %s: %s", id, source, strings.Join(wrong, ", "), stage.Sequence(events))
			}
		}
		maps.Copy(histories, ofID)
	}
	t.Logf("%d events reached the log only after a successor had read it; %d attempts were taken back", late, takenBack)
	return histories
}

// checkHistory returns what is wrong with the events of one request, and how many
// of them are there once more without a fault.
func checkHistory(events []stage.Event, calledTwice bool) (late int, wrong []string) {
	seen, last, ended := map[string]bool{}, 0, false
	for _, e := range events {
		name := step(e)
		noCall := e.EventType == models.EventQueued || e.EventType == models.EventAttempt && !calledTwice
		switch {
		case seen[name] && noCall:
			late++
		case seen[name]:
			wrong = append(wrong, name+" twice")
		}
		seen[name] = true
		if e.EventType == models.EventAttempt && e.Attempt != last && e.Attempt != last+1 {
			wrong = append(wrong, fmt.Sprintf("attempt %d after %d", e.Attempt, last))
		}
		if strings.Contains(e.Error, "before the call") && !isTakenBack(e) { // a stop's, or an order's
			wrong = append(wrong, name+" is spent without a call")
		}
		last, ended = max(last, e.Attempt), ended || e.EventType == models.EventSent
	}
	if !ended {
		wrong = append(wrong, "is not sent")
	}
	return late, wrong
}

// step names an event among those of one request: an attempt that was taken back
// is published again.
func step(e stage.Event) string {
	name := fmt.Sprintf("%s %d", e.EventType, e.Attempt)
	if run := stage.Header(e.Record, models.HeaderAttemptRun); run != "" {
		name += ", run " + run
	}
	if isTakenBack(e) {
		name += ", not called " + e.ProviderResponse.Meta[models.MetaNotCalled]
	}
	return name
}

// isTakenBack reports whether an event takes an attempt back.
func isTakenBack(e stage.Event) bool {
	return e.ProviderResponse != nil && e.ProviderResponse.Meta[models.MetaNotCalled] != ""
}

// distribution writes numbers in short: "0 0 3 7, median 1, most 7".
func distribution(numbers []int) string {
	if len(numbers) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(numbers))
	sum := 0
	for _, n := range sorted {
		sum += n
	}
	at := func(q float64) int { return sorted[int(q*float64(len(sorted)-1))] }
	return fmt.Sprintf("%d in all, a kill: least %d, median %d, 90th percentile %d, most %d",
		sum, sorted[0], at(0.5), at(0.9), sorted[len(sorted)-1])
}
