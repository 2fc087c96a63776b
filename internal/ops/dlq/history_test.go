package dlq

import (
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

func TestHistorySince(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	source := func(partition int32, offset int64) Position { return Position{"requests", partition, offset} }
	for _, tt := range []struct {
		name      string
		source    Position
		lastEvent lastEvent
		want      later
	}{
		{"its own delivery, as it should be", source(1, 5), lastEvent{models.EventFailed, at.Add(time.Second)}, later{}},
		{"its own delivery, failed is not written yet", source(1, 5), lastEvent{models.EventAttempt, at.Add(time.Microsecond)}, later{}},
		{"its own delivery, gone on by another worker", source(1, 5), lastEvent{models.EventAttempt, at.Add(time.Second)}, later{underWay: true}},
		{"its own delivery, ended by another worker", source(1, 5), lastEvent{models.EventSent, at.Add(time.Second)}, later{sent: true}},
		{"sent before, from before", source(1, 4), lastEvent{models.EventSent, at.Add(-time.Hour)}, later{}},
		{"sent before, from later", source(1, 6), lastEvent{models.EventSent, at.Add(-time.Hour)}, later{sent: true}},
		{"sent before, of another partition", source(2, 6), lastEvent{models.EventSent, at.Add(-time.Hour)}, later{}},
		{"sent later, of another partition", source(2, 1), lastEvent{models.EventSent, at.Add(time.Second)}, later{sent: true}},
		{"waits since", source(1, 9), lastEvent{models.EventRetry, at.Add(time.Second)}, later{underWay: true}},
		{"began since", source(1, 9), lastEvent{models.EventQueued, at.Add(time.Second)}, later{underWay: true}},
		{"failed since", source(1, 9), lastEvent{models.EventFailed, at.Add(time.Second)}, later{}},
		{"canceled before, from before", source(1, 4), lastEvent{models.EventCanceled, at.Add(-time.Hour)}, later{}},
		{"canceled since, when it was replayed", source(1, 9), lastEvent{models.EventCanceled, at.Add(time.Second)}, later{canceled: true}},
		{"its own delivery, canceled before failed was written", source(1, 5), lastEvent{models.EventCanceled, at}, later{canceled: true}},
		{"says nothing of its request", Position{}, lastEvent{models.EventSent, at.Add(time.Second)}, later{sent: true}},
	} {
		h := newHistory(nil)
		h.watch("id")
		h.ids["id"][tt.source] = tt.lastEvent
		l := &Letter{View: View{MessageID: "id", Source: source(1, 5)}, Timestamp: at}
		if got := h.since(l); got != tt.want {
			t.Errorf("%s: since = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// An event that a dead worker wrote too late may lie behind the sent of its
// successor.
func TestHistoryOfEventsBehindSent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	type step struct {
		event models.EventType
		hours int // after the letter
	}
	const sent, retry, attempt, failed = models.EventSent, models.EventRetry, models.EventAttempt, models.EventFailed
	const canceled = models.EventCanceled
	for _, tt := range []struct {
		name   string
		offset int64 // of the request; below 0 for none
		steps  []step
		want   later
	}{
		{"its own delivery, a retry of before the letter", 5, []step{{sent, 2}, {retry, -1}}, later{sent: true}},
		{"its own delivery, a retry of after the letter", 5, []step{{sent, 1}, {retry, 2}}, later{sent: true}},
		{"its own delivery, failed", 5, []step{{sent, -1}, {failed, 0}}, later{sent: true}},
		{"a later delivery, several", 6, []step{{attempt, 1}, {sent, 2}, {attempt, 1}, {retry, 2}}, later{sent: true}},
		{"an earlier delivery, sent before the letter", 4, []step{{sent, -2}, {retry, 1}}, later{}},
		{"an earlier delivery, sent before and after the letter", 4, []step{{sent, -2}, {retry, -1}, {sent, 1}}, later{sent: true}},
		{"of some delivery, sent before the letter", -1, []step{{sent, -2}, {attempt, 1}}, later{underWay: true}},
		{"a later delivery, canceled", 6, []step{{canceled, 1}, {retry, 2}}, later{canceled: true}},
		{"a later delivery, canceled by a dead owner", 6, []step{{canceled, 1}, {sent, 2}, {canceled, 3}}, later{sent: true}},
		{"never sent", 6, []step{{attempt, 1}, {retry, 2}}, later{underWay: true}},
	} {
		h := newHistory(nil)
		h.watch("id")
		for _, s := range tt.steps {
			ev := models.StatusEvent{MessageID: "id", Channel: models.SMS, EventType: s.event, Timestamp: at.Add(time.Duration(s.hours) * time.Hour)}
			h.take(eventRecord(t, &ev, tt.offset))
		}
		l := &Letter{View: View{MessageID: "id", Source: Position{"requests", 1, 5}}, Timestamp: at}
		if got := h.since(l); got != tt.want {
			t.Errorf("%s: since = %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// eventRecord returns an event of the request at an offset as it lies in Kafka.
func eventRecord(t *testing.T, ev *models.StatusEvent, offset int64) *kgo.Record {
	t.Helper()
	value, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	rec := &kgo.Record{Key: []byte(ev.MessageID), Value: value}
	if offset < 0 {
		return rec
	}
	rec.Headers = []kgo.RecordHeader{
		{Key: models.HeaderSourceTopic, Value: []byte("requests")},
		{Key: models.HeaderSourcePartition, Value: []byte("1")},
		{Key: models.HeaderSourceOffset, Value: strconv.AppendInt(nil, offset, 10)},
	}
	return rec
}
