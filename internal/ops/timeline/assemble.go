package timeline

import (
	"slices"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
)

// assemble puts the events and dead letters of a message into its deliveries,
// the oldest first. It sorts the events.
func assemble(events []Event, letters []*dlq.Letter) []Delivery {
	var deliveries []Delivery
	of := func(source dlq.Position) *Delivery {
		i := slices.IndexFunc(deliveries, func(d Delivery) bool { return d.Source == source })
		if i < 0 {
			i = len(deliveries)
			deliveries = append(deliveries, Delivery{Source: source})
		}
		return &deliveries[i]
	}
	// One delivery's events share a partition.
	slices.SortFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
	for _, e := range events {
		d := of(e.Source)
		if n := len(d.Events); n > 0 {
			e.Delta = new(e.Timestamp.Sub(d.Events[n-1].Timestamp).Milliseconds())
		}
		d.Events = append(d.Events, e)
	}
	for _, l := range letters {
		of(l.Source).Letter = &l.View
	}
	arrange(deliveries)
	return deliveries
}

// arrange puts deliveries into the order of their requests: by offset in one
// partition, by time between partitions. A worker takes two requests up at once,
// so the second's first event may lie before the first's.
func arrange(deliveries []Delivery) {
	slices.SortStableFunc(deliveries, func(a, b Delivery) int { return a.Source.Compare(b.Source) })
	since := make(map[dlq.Position]time.Time, len(deliveries))
	var previous dlq.Position
	for i := range deliveries {
		d := &deliveries[i]
		at := d.began()
		if before := since[previous]; previous.SamePartition(d.Source) && before.After(at) {
			at = before
		}
		since[d.Source], previous = at, d.Source
	}
	slices.SortStableFunc(deliveries, func(a, b Delivery) int { return since[a.Source].Compare(since[b.Source]) })
}

// began is when the first that is left of it happened.
func (d *Delivery) began() time.Time {
	if len(d.Events) == 0 {
		return d.Letter.FirstFailedAt
	}
	return d.Events[0].Timestamp
}

func (d *Delivery) last() models.StatusEvent {
	if len(d.Events) == 0 {
		return models.StatusEvent{}
	}
	return d.Events[len(d.Events)-1].StatusEvent
}
