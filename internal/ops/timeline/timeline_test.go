package timeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
)

func TestArrange(t *testing.T) {
	t.Parallel()
	at := func(seconds int64) []Event {
		return []Event{{StatusEvent: models.StatusEvent{Timestamp: time.Unix(seconds, 0)}}}
	}
	place := func(partition int32, offset int64) dlq.Position {
		return dlq.Position{Topic: "requests", Partition: partition, Offset: offset}
	}
	letter := &dlq.View{FirstFailedAt: time.Unix(2, 0)}
	deliveries := []Delivery{
		{Source: place(1, 7), Events: at(10)}, // taken up before the one in front of it
		{Source: place(1, 6), Events: at(11)},
		{Source: place(0, 3), Events: at(20)},
		{Source: place(0, 1), Letter: letter}, // its events are gone
		{Source: place(2, 9), Events: at(10)},
	}
	arrange(deliveries)
	var got []dlq.Position
	for _, d := range deliveries {
		got = append(got, d.Source)
	}
	want := []dlq.Position{place(0, 1), place(2, 9), place(1, 6), place(1, 7), place(0, 3)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of the deliveries (-want +got):\n%s", diff)
	}
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	first := dlq.Position{Topic: "requests", Partition: 1, Offset: 4}
	second := dlq.Position{Topic: "requests", Partition: 1, Offset: 9}
	event := func(offset, millis int64, source dlq.Position) Event {
		return Event{
			StatusEvent: models.StatusEvent{Timestamp: time.UnixMilli(millis)},
			At:          dlq.Position{Topic: "status", Partition: 1, Offset: offset}, Source: source,
		}
	}
	after := func(e Event, millis int64) Event { e.Delta = &millis; return e }
	earlier, later := &dlq.Letter{}, &dlq.Letter{}
	earlier.Source, later.Source, later.Attempts = first, first, 2
	got := assemble([]Event{event(8, 1500, second), event(7, 1200, first), event(5, 1000, first)}, []*dlq.Letter{earlier, later})
	want := []Delivery{
		{Source: first, Events: []Event{event(5, 1000, first), after(event(7, 1200, first), 200)}, Letter: &later.View},
		{Source: second, Events: []Event{event(8, 1500, second)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

// A withdrawn attempt does not count: the same one is made again.
func TestWaitingDeliveries(t *testing.T) {
	t.Parallel()
	waiting := func(meta map[string]string) string {
		d := Delivery{Events: []Event{{StatusEvent: models.StatusEvent{
			EventType: models.EventRetry, Attempt: 2, ProviderResponse: &models.ProviderResponse{Meta: meta},
		}}}}
		return d.standing(time.Now())
	}
	if got := waiting(nil); got != "waits for attempt 3" {
		t.Errorf("after a failed attempt 2: %q", got)
	}
	if got := waiting(map[string]string{models.MetaNotCalled: "1"}); got != "waits for attempt 2" {
		t.Errorf("after a withdrawn attempt 2: %q", got)
	}
}

func TestCanceledDeliveries(t *testing.T) {
	t.Parallel()
	event := models.StatusEvent{
		EventType: models.EventCanceled, Attempt: 1, Error: "canceled: wrong campaign", Timestamp: time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC),
	}
	d := Delivery{Events: []Event{{StatusEvent: event}}}
	const want = "canceled at 2026-01-31T09:00:00Z before attempt 2: wrong campaign"
	if got := d.standing(time.Now()); got != want {
		t.Errorf("of nobody reached: %q, want %q", got, want)
	}
	d.Events[0].ProviderResponse = &models.ProviderResponse{
		Status: models.StatusPartial, Meta: map[string]string{models.MetaAcceptedRecipients: "0,2"},
	}
	if got := d.standing(time.Now()); got != want+"; sent before to recipients 0,2" {
		t.Errorf("of two reached: %q", got)
	}
}
