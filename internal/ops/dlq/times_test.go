package dlq

import (
	"bytes"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"messaging-worker/internal/models"
)

// Whatever timestamps a request and its dead letter have: what happened since
// the letter is looked for from where it can have happened, and the letter can
// be shown.
func TestLettersOfAnyTime(t *testing.T) {
	t.Parallel()
	millis := rapid.OneOf(
		rapid.SampledFrom([]int64{math.MinInt64, -4, -1, 0, 599_999, 1_770_000_000, 253402300800000, math.MaxInt64}), rapid.Int64(),
	)
	failed := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	value, err := (&models.DLQRecord{
		MessageID: "id", Channel: models.SMS, OriginalMessage: models.NewOriginal([]byte(`{"message_id":"id"}`)), Attempts: 1,
		FailureType: models.FailurePermanent, FirstFailedAt: failed, LastAttemptAt: failed.Add(time.Second),
	}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		sent := millis.Draw(t, "request")
		l, err := Parse(&kgo.Record{
			Topic: "dlq", Value: value, Timestamp: time.UnixMilli(millis.Draw(t, "letter")),
			Headers: []kgo.RecordHeader{{Key: models.HeaderSourceTimestamp, Value: strconv.AppendInt(nil, sent, 10)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if at := l.began(); at.After(failed) || !at.IsZero() && at.Year() < 2000 {
			t.Errorf("began = %v, want a time that can be, up to %v", at, failed)
		}
		h := newHistory(nil)
		h.watch("id")
		h.ids["id"][Position{"requests", 3, 1}] = lastEvent{models.EventSent, time.Now()}
		if !h.since(l).sent {
			t.Errorf("a message that was sent since the letter of %v is not known to be", l.Timestamp)
		}
		if _, err := json.Marshal(l.View); err != nil {
			t.Errorf("view of the letter of %v: %v", l.Time, err)
		}
		if err := l.Export(&bytes.Buffer{}); err != nil {
			t.Errorf("export of the letter of %v: %v", l.Time, err)
		}
		var stats Stats
		stats.Add(l, models.LaneNormal)
		if _, err := json.Marshal(stats.View(0)); err != nil {
			t.Errorf("statistics of the letter of %v: %v", l.Time, err)
		}
	})
}
