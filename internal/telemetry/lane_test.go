package telemetry_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
)

// scrape reads /metrics: values by name and labels, without the channel.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	values := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok {
			values[strings.Replace(name, `channel="sms",`, "", 1)+"}"] = value
		}
	}
	return values
}

// expect compares some of the metrics.
func expect(t *testing.T, m *telemetry.Metrics, want map[string]string) {
	t.Helper()
	got := scrape(t, m)
	for name, value := range want {
		if at, there := got[name]; at != value {
			t.Errorf("%s is %q (there: %t), want %s", name, at, there, value)
		}
	}
}

// Each lane's messages count for themselves, and what has not happened in one of
// them is zero and not absent. The totals are those of all lanes.
func TestLanesCountForThemselves(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(models.SMS, "test")
	lanes := map[models.Lane]worker.Publisher{}
	for _, lane := range models.Lanes() {
		lanes[lane] = m.Lane(lane).Publisher(acknowledged{})
	}
	end := func(lane models.Lane, ev models.StatusEvent) {
		ack := lanes[lane].Status(t.Context(), &models.Record{Timestamp: time.Now()}, &ev)
		for range 2 { // however often somebody waits
			if err := ack.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range models.EventTypes() {
		end(models.LaneHigh, models.StatusEvent{EventType: e, FailureType: models.FailurePermanent})
	}
	end(models.LaneBulk, models.StatusEvent{EventType: models.EventCanceled})
	expect(t, m, map[string]string{
		`messaging_messages_total{failure_type="",lane="high",outcome="sent"}`:             "1",
		`messaging_messages_total{failure_type="permanent",lane="high",outcome="failed"}`:  "1",
		`messaging_messages_total{failure_type="",lane="high",outcome="canceled"}`:         "1",
		`messaging_messages_total{failure_type="",lane="bulk",outcome="canceled"}`:         "1",
		`messaging_messages_total{failure_type="",lane="bulk",outcome="sent"}`:             "0",
		`messaging_messages_total{failure_type="transient",lane="bulk",outcome="failed"}`:  "0",
		`messaging_messages_total{failure_type="validation",lane="bulk",outcome="failed"}`: "0",
		`messaging_messages_total{failure_type="",lane="normal",outcome="canceled"}`:       "0",
		`messaging_message_duration_seconds_count{lane="high"}`:                            "3",
		`messaging_message_duration_seconds_count{lane="bulk"}`:                            "1",
		`messaging_message_duration_seconds_count{lane="normal"}`:                          "0",
		`messaging_queue_wait_seconds_count{lane="normal"}`:                                "0",
	})
	if got, want := m.Totals(), (telemetry.Totals{Sent: 1, Failed: 1, Canceled: 2}); got != want {
		t.Errorf("Totals() = %+v, want %+v", got, want)
	}
}

// deliveries is a channel whose calls go as a function says.
type deliveries func(call common.Call) error

func (d deliveries) Decode(*models.Record) (common.Delivery, error) {
	return common.Delivery{Send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
		return models.ProviderResponse{}, d(call)
	}}, nil
}

// The wait of a message ends with the start of its first call, and is counted
// once.
func TestQueueWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		age        time.Duration // of the record when the first call starts
		calls      func(send func(attempt, recipient int))
		count, sum string
	}{
		{"one call", 2 * time.Second, func(send func(attempt, recipient int)) { send(1, 0) }, "1", "2"},
		{"a second attempt", 2 * time.Second, func(send func(attempt, recipient int)) { send(1, 0); send(2, 0) }, "1", "2"},
		{"several recipients", 2 * time.Second, func(send func(attempt, recipient int)) {
			go send(1, slow)
			synctest.Wait()
			time.Sleep(time.Second)
			send(1, 0) // ends before the first one
		}, "1", "2"},
		{"an attempt of an earlier owner", 2 * time.Second, func(send func(attempt, recipient int)) { send(2, 0) }, "0", "0"},
		{"no call", 2 * time.Second, func(send func(attempt, recipient int)) { send(1, notTaken) }, "0", "0"},
		{"no call at first", 2 * time.Second, func(send func(attempt, recipient int)) {
			send(1, notTaken)
			time.Sleep(time.Second)
			send(1, 0)
		}, "1", "3"},
		{"the clock of the broker is ahead", -time.Second, func(send func(attempt, recipient int)) { send(1, 0) }, "1", "0"},
		{"a time that is none", 1e6 * time.Hour, func(send func(attempt, recipient int)) { send(1, 0) }, "0", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(24 * time.Hour) // the bubble begins at the earliest time that is usable
				m := telemetry.NewMetrics(models.SMS, "test")
				d, err := m.Lane(models.LaneHigh).Channel(deliveries(play)).Decode(&models.Record{Timestamp: time.Now().Add(-tt.age)})
				if err != nil {
					t.Fatal(err)
				}
				tt.calls(func(attempt, recipient int) {
					_, _ = d.Send(t.Context(), common.Call{Attempt: attempt, Recipients: []int{recipient}})
				})
				time.Sleep(2 * time.Minute) // until all calls have ended
				expect(t, m, map[string]string{
					`messaging_queue_wait_seconds_count{lane="high"}`: tt.count,
					`messaging_queue_wait_seconds_sum{lane="high"}`:   tt.sum,
				})
			})
		})
	}
}

// Recipients whose calls are special.
const (
	slow = 1 + iota
	notTaken
)

func play(call common.Call) error {
	switch call.Recipients[0] {
	case slow:
		time.Sleep(time.Minute)
	case notTaken:
		f := common.Transient(errors.New("no connection is free"))
		f.NotCalled = true
		return f
	}
	return nil
}
