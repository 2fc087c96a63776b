package chaos_test

import (
	"bytes"
	"fmt"
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

// twice returns, for each line that repeats an earlier one, the index of that.
func twice(list []accepted) []int {
	first := map[whom]int{}
	var repeated []int
	for i, a := range list {
		key := whom{a.id, a.recipient}
		if j, seen := first[key]; seen {
			repeated = append(repeated, j)
			continue
		}
		first[key] = i
	}
	return repeated
}

// missing returns how many recipients were not reached.
func missing(list []accepted, ids map[string]bool, recipients int) int {
	reached := map[string]map[int]bool{}
	for _, a := range list {
		if reached[a.id] == nil {
			reached[a.id] = map[int]bool{}
		}
		reached[a.id][a.recipient] = true
	}
	lost := 0
	for id := range ids {
		lost += recipients - len(reached[id])
	}
	return lost
}

// checkHistories reports messages that have not ended as sent, and attempts
// that were spent and forgotten: their numbers would repeat.
//
// One repetition is no fault: what a killed worker had handed to the network
// may reach the log after its successor has read it. No call was made on the
// strength of such an event, for it was never acknowledged.
func checkHistories(t *testing.T, histories map[string][]stage.Event, ids map[string]bool, list []accepted) {
	t.Helper()
	calledTwice := map[string]bool{}
	for _, first := range twice(list) {
		calledTwice[list[first].id] = true
	}
	late := 0
	for id := range ids {
		events := histories[id]
		seen := map[string]bool{}
		var wrong []string
		last := 0
		for _, e := range events {
			name := fmt.Sprintf("%s %d", e.EventType, e.Attempt)
			unmade := e.EventType == models.EventQueued || e.EventType == models.EventAttempt && !calledTwice[id]
			switch {
			case seen[name] && unmade:
				late++
			case seen[name]:
				wrong = append(wrong, name+" twice")
			}
			seen[name] = true
			if e.EventType == models.EventAttempt && e.Attempt != last && e.Attempt != last+1 {
				wrong = append(wrong, fmt.Sprintf("attempt %d after %d", e.Attempt, last))
			}
			last = max(last, e.Attempt)
		}
		if n := len(events); n == 0 || events[n-1].EventType != models.EventSent {
			wrong = append(wrong, "does not end as sent")
		}
		if len(wrong) > 0 {
			t.Errorf("%s: %s: %s", id, strings.Join(wrong, ", "), stage.Sequence(events))
		}
	}
	if late > 0 {
		t.Logf("%d events reached the log only after a successor had read it", late)
	}
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
