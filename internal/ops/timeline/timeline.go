// Package timeline finds the status events and dead letters of one message.
package timeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// Event is a status event and where it lies.
type Event struct {
	models.StatusEvent `json:",inline"`

	Lane   models.Lane  `json:"lane,omitzero"` // of Follow, where the channel has several: by which the request came
	At     dlq.Position `json:"record"`
	Source dlq.Position `json:"source,omitzero"`   // of the request; none where the headers do not say
	Delta  *int64       `json:"delta_ms,omitzero"` // milliseconds since the delivery's event before it
}

// ParseEvent reads a record of a status topic. False is one that is no event.
func ParseEvent(rec *kgo.Record) (Event, bool) {
	ev, err := models.DecodeEvent(rec.Value, rec.Headers)
	at := dlq.Position{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset}
	return Event{StatusEvent: ev, At: at, Source: dlq.SourceOf(rec)}, err == nil
}

// Delivery is the life of one request record. Several records with one message
// id are several deliveries.
type Delivery struct {
	Source   dlq.Position `json:"source,omitzero"`
	Lane     models.Lane  `json:"lane,omitzero"`        // by which the request came, where the channel has several
	Events   []Event      `json:"events"`               // in order; may be empty where only the letter is left
	Letter   *dlq.View    `json:"dead_letter,omitzero"` // nil where there is none
	Standing string       `json:"standing"`             // its state, in a line
}

// Story is all there is of one message.
type Story struct {
	MessageID  string         `json:"message_id"`
	Channel    models.Channel `json:"channel,omitzero"`
	By         string         `json:"found_by,omitzero"` // what led to it: murmur2, crc32, or all partitions
	Deliveries []Delivery     `json:"deliveries"`        // the oldest first; empty means that it is unknown

	// Looked says where it was looked for, or why it could not be there.
	Looked []error `json:"-"`
}

// Find looks for a message in the status topics of the sources, and for its
// dead letters: first, unless all is set, where the usual producers put its key,
// then in all partitions. Zero since means from the start. A story without
// deliveries means that the message is in none.
func Find(ctx context.Context, sources *ops.Sources, id string, since time.Time, all bool) (Story, error) {
	story := Story{MessageID: id}
	var searches []*search
	for i, c := range sources.Settings {
		s, err := newSearch(ctx, sources.Client, c, sources.Topics[i], id, since)
		if err != nil {
			return story, err
		}
		searches = append(searches, s)
	}
	steps := []func(*search, context.Context) error{(*search).likely, (*search).everywhere}
	if all {
		steps = steps[1:]
	}
	for _, step := range steps {
		story.Looked = nil
		for _, s := range searches {
			if err := step(s, ctx); err != nil || len(s.story.Deliveries) > 0 {
				return s.story, err
			}
			story.Looked = append(story.Looked, s.story.Looked...)
		}
	}
	return story, nil
}

// search looks for one message in one channel's topics.
type search struct {
	client *kgo.Client
	config *config.Config
	status *scan.Topic
	since  time.Time
	lanes  ops.Lanes // by their topics; nil where there is one
	keyed  []int     // of how many partitions a producer's partitioner chooses, for each lane
	looked []int32
	story  Story
	events []Event
}

func newSearch(ctx context.Context, client *kgo.Client, c *config.Config, status *scan.Topic, id string, since time.Time) (*search, error) {
	s := &search{client: client, config: c, status: status, since: since}
	s.story = Story{MessageID: id, Channel: models.Channel(c.Channel)}
	lanes, err := ops.LanesInUse(ctx, client, c)
	if err != nil {
		return nil, err
	}
	s.lanes = several(lanes)
	for _, l := range lanes {
		if l.Partitions > 0 {
			s.keyed = append(s.keyed, l.Partitions)
		}
	}
	if len(s.keyed) == 0 { // the status topic's own number is the best guess
		s.keyed = []int{status.Partitions()}
	}
	return s, nil
}

// several returns the lanes by their topics, nil where a channel has but one.
func several(lanes []ops.LaneInUse) ops.Lanes {
	if len(lanes) < 2 {
		return nil
	}
	byTopic := ops.Lanes{}
	for _, l := range lanes {
		byTopic[l.Kafka.RequestTopic] = models.Lane(l.Lane)
	}
	return byTopic
}

// likely looks where the usual producers put the key, one partitioner after the
// other, for all lanes at once: a request may have been put back on another one.
func (s *search) likely(ctx context.Context) error {
	for _, g := range scan.Guesses([]byte(s.story.MessageID), s.status.Partitions(), s.keyed...) {
		s.looked = append(s.looked, g.Partitions...)
		if err := s.look(ctx, " "+numbered(g.Partitions)+" ("+g.By+")", g.Partitions...); err != nil {
			return err
		}
		if len(s.events) > 0 {
			s.story.By = g.By
			return s.finish(ctx)
		}
	}
	return nil
}

// numbered writes partitions with their numbers.
func numbered(partitions []int32) string {
	if len(partitions) == 1 {
		return fmt.Sprint("partition ", partitions[0])
	}
	return "partitions " + strings.Trim(fmt.Sprint(partitions), "[]")
}

// everywhere looks in all partitions where likely did not, and where no event is
// left in the dead letters.
func (s *search) everywhere(ctx context.Context) error {
	s.story.By = "all partitions"
	where := fmt.Sprintf(", all %d partitions", s.status.Partitions())
	if len(s.looked) > 0 {
		where = fmt.Sprintf(", its other %d partitions", s.status.Partitions()-len(s.looked))
	}
	var others []int32
	for p := range int32(s.status.Partitions()) { //nolint:gosec // a number of partitions
		if !slices.Contains(s.looked, p) {
			others = append(others, p)
		}
	}
	if err := s.look(ctx, where, others...); err != nil {
		return err
	}
	return s.finish(ctx)
}

func (s *search) look(ctx context.Context, where string, partitions ...int32) error {
	s.events = nil
	if len(partitions) == 0 {
		return nil // none is left
	}
	spans, err := s.status.Spans(ctx, s.since, partitions...)
	if err != nil {
		return err
	}
	s.story.Looked = append(s.story.Looked, fmt.Errorf("%s%s: %d events", s.status.Name, where, scan.Total(spans)))
	want := func(key []byte) bool { return string(key) == s.story.MessageID }
	return s.status.Read(ctx, spans, want, func(rec *kgo.Record) error {
		if e, ok := ParseEvent(rec); ok {
			s.events = append(s.events, e)
		}
		return nil
	})
}

// finish makes the deliveries of what was found.
func (s *search) finish(ctx context.Context) error {
	deliveries := assemble(s.events, nil)
	failed := slices.ContainsFunc(deliveries, func(d Delivery) bool { return d.last().EventType == models.EventFailed })
	if failed || len(deliveries) == 0 {
		letters, err := s.letters(ctx)
		if err != nil {
			return err
		}
		deliveries = assemble(s.events, letters)
	}
	now := time.Now()
	for i := range deliveries {
		deliveries[i].Lane = s.lanes[deliveries[i].Source.Topic]
		deliveries[i].Standing = deliveries[i].standing(now)
	}
	s.story.Deliveries = deliveries
	return nil
}

// letters returns the message's dead letters, the oldest first.
func (s *search) letters(ctx context.Context) ([]*dlq.Letter, error) {
	topic, err := scan.Open(ctx, s.client, s.config.Kafka.DLQTopic)
	if fault.Is(err, fault.NoTopic) {
		s.story.Looked = append(s.story.Looked, err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	letters, err := dlq.Find(ctx, topic, s.story.MessageID)
	if err == nil && len(letters) == 0 {
		s.story.Looked = append(s.story.Looked, fmt.Errorf("%s, all %d partitions", topic.Name, topic.Partitions()))
	}
	return letters, err
}
