// Package timeline finds the status events and dead letters of one message.
package timeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// Event is a status event and where it lies.
type Event struct {
	models.StatusEvent

	At     dlq.Position
	Source dlq.Position // of the request; none where the headers do not say
}

// ParseEvent reads a record of a status topic. False is one that is no event.
func ParseEvent(rec *kgo.Record) (Event, bool) {
	e := Event{At: dlq.Position{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}, Source: dlq.SourceOf(rec)}
	err := json.Unmarshal(rec.Value, &e.StatusEvent)
	return e, err == nil
}

// Delivery is the life of one request record. Several records with one message
// id are several deliveries.
type Delivery struct {
	Source dlq.Position
	Events []Event     // in order; may be empty where only the letter is left
	Letter *dlq.Letter // nil where there is none
}

// Story is all there is of one message.
type Story struct {
	MessageID  string
	Channel    models.Channel
	Deliveries []Delivery // the oldest first; empty means that it is unknown
	By         string     // what led to it: murmur2, crc32, or all partitions
	Looked     []Looked
}

// Looked is a place where a message was searched for: in words, or why it could
// not be searched there.
type Looked struct {
	Text string
	Err  error
}

// Search looks for one message in one channel's topics.
type Search struct {
	Client               *kgo.Client
	Channel              models.Channel
	Request, Status, DLQ string
	Since                time.Time // zero means from the start
	status               *scan.Topic
	keyed                int // the partitions that a producer's partitioner chooses from
	looked               []int32
	story                Story
	events               []Event
}

// Open asks for the topics. The error of a status topic that does not exist
// is a fault.NoTopic.
func (s *Search) Open(ctx context.Context) error {
	var err error
	if s.status, err = scan.Open(ctx, s.Client, s.Status); err != nil {
		return err
	}
	s.keyed = s.status.Partitions()
	request, err := scan.Open(ctx, s.Client, s.Request)
	switch {
	case err == nil:
		s.keyed = request.Partitions()
	case !fault.Is(err, fault.NoTopic): // without it the status topic's own number is the best guess
		return err
	}
	return nil
}

// Guess looks where the usual producers put the key, one after the other. The
// story is empty where the message is not there.
func (s *Search) Guess(ctx context.Context, id string) (Story, error) {
	s.story = Story{MessageID: id, Channel: s.Channel}
	for _, g := range scan.Guesses([]byte(id), s.keyed) {
		// Events lie in the partition with their request's number.
		partition := g.Partition % int32(s.status.Partitions()) //nolint:gosec // a number of partitions
		where := fmt.Sprintf("%s partition %d (%s)", s.Status, partition, g.By)
		if slices.Contains(s.looked, partition) {
			continue // two partitions of the requests share it
		}
		s.looked = append(s.looked, partition)
		if err := s.look(ctx, id, where, partition); err != nil {
			return s.story, err
		}
		if len(s.events) > 0 {
			s.story.By = g.By
			return s.assemble(ctx)
		}
	}
	return s.story, nil
}

// Everywhere looks in all partitions, and where no event is left in the dead
// letters. It goes on with the story of Guess.
func (s *Search) Everywhere(ctx context.Context, id string) (Story, error) {
	s.story.MessageID, s.story.Channel, s.story.By = id, s.Channel, "all partitions"
	where := fmt.Sprintf("%s, all %d partitions", s.Status, s.status.Partitions())
	if len(s.looked) > 0 {
		where = fmt.Sprintf("%s, its other %d partitions", s.Status, s.status.Partitions()-len(s.looked))
	}
	var others []int32
	for p := range int32(s.status.Partitions()) { //nolint:gosec // a number of partitions
		if !slices.Contains(s.looked, p) {
			others = append(others, p)
		}
	}
	if err := s.look(ctx, id, where, others...); err != nil {
		return s.story, err
	}
	return s.assemble(ctx)
}

func (s *Search) look(ctx context.Context, id, where string, partitions ...int32) error {
	s.events = nil
	if len(partitions) == 0 {
		return nil // none is left
	}
	spans, err := s.status.Spans(ctx, s.Since, partitions...)
	if err != nil {
		return err
	}
	s.story.Looked = append(s.story.Looked, Looked{Text: fmt.Sprintf("%s: %d events", where, scan.Total(spans))})
	want := func(key []byte) bool { return string(key) == id }
	return s.status.Read(ctx, spans, want, func(rec *kgo.Record) error {
		if e, ok := ParseEvent(rec); ok {
			s.events = append(s.events, e)
		}
		return nil
	})
}

// assemble puts what was found into order.
func (s *Search) assemble(ctx context.Context) (Story, error) {
	// One delivery's events share a partition.
	slices.SortFunc(s.events, func(a, b Event) int { return a.At.Compare(b.At) })
	for _, e := range s.events {
		d := s.delivery(e.Source)
		d.Events = append(d.Events, e)
	}
	failed := slices.ContainsFunc(s.story.Deliveries, func(d Delivery) bool { return d.last().EventType == models.EventFailed })
	if failed || len(s.events) == 0 {
		if err := s.letters(ctx); err != nil {
			return s.story, err
		}
	}
	arrange(s.story.Deliveries)
	return s.story, nil
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

func (s *Search) delivery(source dlq.Position) *Delivery {
	i := slices.IndexFunc(s.story.Deliveries, func(d Delivery) bool { return d.Source == source })
	if i < 0 {
		i = len(s.story.Deliveries)
		s.story.Deliveries = append(s.story.Deliveries, Delivery{Source: source})
	}
	return &s.story.Deliveries[i]
}

func (s *Search) letters(ctx context.Context) error {
	topic, err := scan.Open(ctx, s.Client, s.DLQ)
	if fault.Is(err, fault.NoTopic) {
		s.story.Looked = append(s.story.Looked, Looked{Err: err})
		return nil
	}
	if err != nil {
		return err
	}
	letters, err := dlq.Find(ctx, topic, s.story.MessageID)
	if err != nil {
		return err
	}
	if len(letters) == 0 {
		s.story.Looked = append(s.story.Looked, Looked{Text: fmt.Sprintf("%s, all %d partitions", s.DLQ, topic.Partitions())})
	}
	for _, l := range letters {
		s.delivery(l.Source).Letter = l
	}
	return nil
}

func (d *Delivery) last() models.StatusEvent {
	if len(d.Events) == 0 {
		return models.StatusEvent{}
	}
	return d.Events[len(d.Events)-1].StatusEvent
}
