package telemetry_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
)

// acknowledged takes every event at once.
type acknowledged struct{}

func (acknowledged) Status(context.Context, *models.Record, *models.StatusEvent) worker.Ack {
	return acknowledged{}
}
func (acknowledged) DLQ(context.Context, *models.Record, *models.DLQRecord) error { return nil }
func (acknowledged) Wait(context.Context) error                                   { return nil }

// How long a message took is not known where its record's timestamp is none:
// it is counted as sent and adds nothing to the durations.
func TestDurationOfMessagesOfAnyTime(t *testing.T) {
	t.Parallel()
	m := telemetry.NewMetrics(models.SMS, "test")
	lane := m.Lane(models.LaneNormal)
	times := []int64{math.MinInt64, -1, 0, 599_999, time.Now().Unix(), time.Now().UnixMicro(), math.MaxInt64, time.Now().Add(-time.Minute).UnixMilli()}
	for _, ms := range times {
		ack := lane.Publisher(acknowledged{}).Status(t.Context(), &models.Record{Timestamp: time.UnixMilli(ms)}, &models.StatusEvent{EventType: models.EventSent})
		if err := ack.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Totals(); got != (telemetry.Totals{Sent: uint64(len(times))}) {
		t.Errorf("counted are %+v, want %d sent", got, len(times))
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	sum := regexp.MustCompile(`messaging_message_duration_seconds_sum\S* (\S+)`).FindStringSubmatch(w.Body.String())
	count := regexp.MustCompile(`messaging_message_duration_seconds_count\S* (\S+)`).FindStringSubmatch(w.Body.String())
	if sum == nil || count == nil {
		t.Fatal("there is no histogram of durations")
	}
	if seconds, err := strconv.ParseFloat(sum[1], 64); err != nil || seconds < 60 || seconds > 3600 || count[1] != "1" {
		t.Errorf("%s durations have a sum of %s s, want that of the one message with a time", count[1], sum[1])
	}
}
