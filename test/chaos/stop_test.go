package chaos_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Stop after stop in the middle of the traffic, with messages that back off
// and messages that have reached some of their recipients: every stop is
// clean, nobody is called twice, and waits go on where they stood. Neither a stop
// nor an order that pauses a lane spends an attempt: what never succeeds ends with
// the last one that its lane allows.
func TestStops(t *testing.T) {
	t.Parallel()
	r := chance(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{Control: true}))
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{
		"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": "40",
		"MAX_ATTEMPTS": "4", "HIGH_MAX_ATTEMPTS": "3", "BULK_MAX_ATTEMPTS": "5",
		"LOG_LEVEL": "info", "KAFKA_GROUP_INSTANCE_ID": s.Name,
	}
	attempts := map[string]int{s.RequestTopic(models.LaneHigh): 3, s.RequestTopic(models.LaneNormal): 4, s.RequestTopic(models.LaneBulk): 5}
	messages, stops := pick(600, 6000), pick(4, 30)
	edit := func(i int) map[string]any {
		edits := map[string]any{}
		switch i % 10 {
		case 0: // two recipients of three wait for a while
			edits = stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_recipients", "0,2",
				"scenario_retry_after_ms", strconv.Itoa(1000+r.IntN(5000)))
		case 1:
			edits = stage.Hints("scenario", "transient", "scenario_failures", "2")
		case 2:
			edits = stage.Hints("scenario", "transient")
		}
		edits["to"] = []string{"+15550000001", "+15550000002", "+15550000003"}
		return edits
	}
	ids := putTwins(t, s, messages/10, edit)
	ids.add(s.PutEach(messages-ids.count(), edit))
	total := messages * 3
	resume := pausing(t, s, r)
	for range stops {
		w := s.Work(env)
		w.WaitReady(http.StatusOK)
		time.Sleep(time.Duration(r.IntN(pick(500, 1500))) * time.Millisecond)
		w.Stop()
	}
	stopped := stage.Lines(ledger)
	s.Work(env)
	resume()
	s.Committed()
	list := readLedger(t, ledger)
	if n := len(twice(list, ids)); n > 0 {
		t.Errorf("%d calls were made twice", n)
	}
	if n := takeSpent(t, s, ids, attempts); n != messages/10 {
		t.Errorf("%d messages failed, want %d", n, messages/10)
	}
	if lost := missing(list, ids, 3); lost > 0 {
		t.Errorf("%d recipients were never reached", lost)
	}
	checkWaits(t, checkHistories(t, s, ids, list))
	t.Logf("%d messages to 3 recipients each, %d stops at up to %d of %d deliveries, %d called twice", messages, stops, stopped, total, len(twice(list, ids)))
}

// takeSpent takes the ids of messages that failed out of the requests, and returns
// how many failed. Those of each topic have spent as many attempts as it allows.
func takeSpent(t *testing.T, s *stage.Stage, ids requests, attempts map[string]int) (failed int) {
	t.Helper()
	for id, events := range s.SoFar() {
		for _, e := range events {
			if e.EventType != models.EventFailed {
				continue
			}
			failed++
			delete(ids, id)
			if want := attempts[stage.Header(e.Record, "source-topic")]; e.Attempt != want {
				t.Errorf("%s of %s failed after %d attempts, want %d: %s", id, e.Source(), e.Attempt, want, stage.Sequence(events))
			}
		}
	}
	return failed
}

// checkWaits reports attempts that were made before they were due.
func checkWaits(t *testing.T, histories map[string][]stage.Event) {
	t.Helper()
	waited := 0
	for source, events := range histories {
		for i, e := range events[1:] {
			before := events[i]
			if before.EventType != models.EventRetry || strings.Contains(before.Error, "worker stopped") {
				continue
			}
			waited++
			due, err := time.Parse(time.RFC3339Nano, before.ProviderResponse.Meta[models.MetaNextAttemptAt])
			if err != nil {
				t.Errorf("%s: %v", source, err)
			} else if e.Timestamp.Before(due) {
				t.Errorf("%s: attempt %d comes %v too early", source, e.Attempt, due.Sub(e.Timestamp))
			}
		}
	}
	if waited == 0 {
		t.Error("no message has waited")
	}
}
