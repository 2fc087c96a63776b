package dlq

import (
	"testing"
	"time"

	"messaging-worker/internal/models"
)

func TestHistorySince(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	source := func(partition int32, offset int64) Position { return Position{"requests", partition, offset} }
	for _, tt := range []struct {
		name           string
		source         Position
		lastEvent      lastEvent
		sent, underWay bool
	}{
		{"its own delivery, as it should be", source(1, 5), lastEvent{models.EventFailed, at.Add(time.Second)}, false, false},
		{"its own delivery, failed is not written yet", source(1, 5), lastEvent{models.EventAttempt, at.Add(time.Microsecond)}, false, false},
		{"its own delivery, gone on by another worker", source(1, 5), lastEvent{models.EventAttempt, at.Add(time.Second)}, false, true},
		{"its own delivery, ended by another worker", source(1, 5), lastEvent{models.EventSent, at.Add(time.Second)}, true, false},
		{"sent before, from before", source(1, 4), lastEvent{models.EventSent, at.Add(-time.Hour)}, false, false},
		{"sent before, from later", source(1, 6), lastEvent{models.EventSent, at.Add(-time.Hour)}, true, false},
		{"sent before, of another partition", source(2, 6), lastEvent{models.EventSent, at.Add(-time.Hour)}, false, false},
		{"sent later, of another partition", source(2, 1), lastEvent{models.EventSent, at.Add(time.Second)}, true, false},
		{"waits since", source(1, 9), lastEvent{models.EventRetry, at.Add(time.Second)}, false, true},
		{"began since", source(1, 9), lastEvent{models.EventQueued, at.Add(time.Second)}, false, true},
		{"failed since", source(1, 9), lastEvent{models.EventFailed, at.Add(time.Second)}, false, false},
		{"says nothing of its request", Position{}, lastEvent{models.EventSent, at.Add(time.Second)}, true, false},
	} {
		h := newHistory(nil)
		h.watch("id")
		h.ids["id"][tt.source] = tt.lastEvent
		l := &Letter{View: View{MessageID: "id", Source: source(1, 5)}, Timestamp: at}
		if sent, underWay := h.since(l); sent != tt.sent || underWay != tt.underWay {
			t.Errorf("%s: since = %v, %v, want %v, %v", tt.name, sent, underWay, tt.sent, tt.underWay)
		}
	}
}
