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
// clean, nobody is called twice, and waits go on where they stood.
func TestStops(t *testing.T) {
	t.Parallel()
	r := chance(t)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 6, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{
		"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": "40", "MAX_ATTEMPTS": "100",
		"LOG_LEVEL": "info", "KAFKA_GROUP_INSTANCE_ID": s.Name,
	}
	messages, stops := pick(600, 6000), pick(4, 30)
	ids := s.PutEach(messages, func(i int) map[string]any {
		edits := map[string]any{}
		switch i % 10 {
		case 0: // two recipients of three wait for a while
			edits = stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_recipients", "0,2",
				"scenario_retry_after_ms", strconv.Itoa(1000+r.IntN(5000)))
		case 1:
			edits = stage.Hints("scenario", "transient", "scenario_failures", "2")
		}
		edits["to"] = []string{"+15550000001", "+15550000002", "+15550000003"}
		return edits
	})
	total := messages * 3
	for range stops {
		w := s.Work(env)
		w.WaitReady(http.StatusOK)
		time.Sleep(time.Duration(r.IntN(pick(500, 1500))) * time.Millisecond)
		w.Stop()
	}
	stopped := stage.Lines(ledger)
	s.Work(env)
	s.Committed()
	list := readLedger(t, ledger)
	if lost := missing(list, ids, 3); lost > 0 {
		t.Errorf("%d recipients were never reached", lost)
	}
	if n := len(twice(list)); n > 0 {
		t.Errorf("%d calls were made twice", n)
	}
	histories := s.Events(messages)
	checkHistories(t, histories, ids, list)
	checkWaits(t, histories)
	t.Logf("%d messages to 3 recipients each, %d stops at up to %d of %d deliveries, %d called twice", messages, stops, stopped, total, len(twice(list)))
}

// checkWaits reports attempts that were made before they were due.
func checkWaits(t *testing.T, histories map[string][]stage.Event) {
	t.Helper()
	waited := 0
	for id, events := range histories {
		for i, e := range events[1:] {
			before := events[i]
			if before.EventType != models.EventRetry || strings.Contains(before.Error, "worker stopped") {
				continue
			}
			waited++
			due, err := time.Parse(time.RFC3339Nano, before.ProviderResponse.Meta[models.MetaNextAttemptAt])
			if err != nil {
				t.Errorf("%s: %v", id, err)
			} else if e.Timestamp.Before(due) {
				t.Errorf("%s: attempt %d comes %v too early", id, e.Attempt, due.Sub(e.Timestamp))
			}
		}
	}
	if waited == 0 {
		t.Error("no message has waited")
	}
}
