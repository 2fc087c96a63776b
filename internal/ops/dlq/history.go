package dlq

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/scan"
)

// clockSkew is by how much the clocks of producers and workers may differ.
const clockSkew = 10 * time.Minute

// history holds the status events of the letters' messages. A replay refreshes
// it as it goes on.
type history struct {
	status *scan.Topic
	ends   map[int32]int64 // how far it was read
	asked  time.Time
	ids    map[string]map[Position]lastEvent // by message id and request
}

// lastEvent is the last event of one delivery, or its last sent or else canceled
// where it has one.
type lastEvent struct {
	event models.EventType
	at    time.Time
}

func newHistory(status *scan.Topic) *history {
	return &history{status: status, ends: map[int32]int64{}, ids: map[string]map[Position]lastEvent{}}
}

// watch adds a message whose events matter.
func (h *history) watch(id string) {
	if h.ids[id] == nil {
		h.ids[id] = map[Position]lastEvent{}
	}
}

// start reads what happened since a time.
func (h *history) start(ctx context.Context, since time.Time) error {
	spans, err := h.status.Spans(ctx, since.Add(-clockSkew))
	if err != nil {
		return err
	}
	if h.ends, err = h.status.Ends(ctx); err != nil {
		return err
	}
	for i := range spans {
		spans[i].To = h.ends[spans[i].Partition]
	}
	return h.read(ctx, spans)
}

// catchUp reads what has happened since it was asked last, unless that was
// just now.
func (h *history) catchUp(ctx context.Context) error {
	if time.Since(h.asked) < commitEvery {
		return nil
	}
	ends, err := h.status.Ends(ctx)
	if err != nil {
		return err
	}
	var spans []scan.Span
	for partition, end := range ends {
		if h.ends[partition] < end {
			spans = append(spans, scan.Span{Partition: partition, From: h.ends[partition], To: end})
		}
	}
	h.ends = ends
	return h.read(ctx, spans)
}

func (h *history) read(ctx context.Context, spans []scan.Span) error {
	wanted := func(key []byte) bool { _, ok := h.ids[string(key)]; return ok }
	err := h.status.Read(ctx, spans, wanted, func(rec *kgo.Record) error {
		h.take(rec)
		return nil
	})
	h.asked = time.Now()
	return err
}

// take takes an event of a message that is watched. No event behind sent or
// canceled takes it back: one may be of a dead owner, written after its
// successor's.
func (h *history) take(rec *kgo.Record) {
	ev, err := models.DecodeStep(rec.Value, rec.Headers)
	if err != nil {
		return // foreign records are not ours to judge
	}
	source, deliveries := SourceOf(rec), h.ids[string(rec.Key)]
	known := source != Position{} // else the events may be of several deliveries
	if known && weight(ev.EventType) < weight(deliveries[source].event) {
		return
	}
	deliveries[source] = lastEvent{ev.EventType, ev.Timestamp}
}

// weight orders events by what they say for good of a delivery.
func weight(event models.EventType) int {
	switch event {
	case models.EventSent:
		return 2
	case models.EventCanceled:
		return 1
	default:
		return 0
	}
}

// later is what became of a message after its letter.
type later struct{ sent, canceled, underWay bool }

// since tells what became of the letter's message after it: whether it was sent,
// whether it was canceled, and whether a delivery has not ended. Its own delivery
// counts too: a worker that died between a dead letter and its failed event leaves
// one that the next worker goes on with.
func (h *history) since(l *Letter) later {
	var found later
	for source, m := range h.ids[l.MessageID] {
		// A record's time has no more than milliseconds.
		after := m.at.Truncate(time.Millisecond).After(l.written())
		switch {
		case source == l.Source:
			after = after || weight(m.event) > 0
		case source.Topic == l.Source.Topic && source.Partition == l.Source.Partition:
			after = after || source.Offset > l.Source.Offset
		}
		if !after {
			continue
		}
		switch m.event {
		case models.EventSent:
			found.sent = true
		case models.EventCanceled:
			found.canceled = true
		case models.EventFailed: // its own letter stands for it
		case models.EventQueued, models.EventAttempt, models.EventRetry:
			found.underWay = true
		}
	}
	return found
}
