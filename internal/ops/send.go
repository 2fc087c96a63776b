package ops

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
)

// Outgoing is a valid request that is to be sent.
type Outgoing struct {
	MessageID string
	Value     []byte
}

// Sent is a request that Kafka has acknowledged, and what is known of it since.
type Sent struct {
	MessageID string               `json:"message_id"`
	Topic     string               `json:"topic"`
	Partition int32                `json:"partition"`
	Offset    int64                `json:"offset"`
	Outcome   models.EventType     `json:"outcome,omitzero"` // a final event's type; empty while there is none
	Events    []models.StatusEvent `json:"events,omitempty"`
}

// SendOptions says what is done beside producing. Its callbacks may be nil.
type SendOptions struct {
	Wait    bool // for every request's outcome
	Timeout time.Duration
	Sent    func(*Sent)
	Event   func(*Sent, *models.StatusEvent)
}

// ErrNoOutcome means that requests had no outcome in time.
var ErrNoOutcome = errors.New("no outcome in time")

// largeRecord is the size above which a record is sent in a batch of its own:
// Kafka compares max.message.bytes to whole batches.
const largeRecord = 500_000

// Send produces requests in their order and, with Wait, follows each one to its
// outcome. It returns what was acknowledged, also beside an error.
func Send(ctx context.Context, c *config.Config, requests []Outgoing, o SendOptions) ([]*Sent, error) {
	client, err := Connect(ctx, c, append(InteractiveProducer(), kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(64<<20))...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	needs := []kafka.Need{{Topic: c.Kafka.RequestTopic, Write: true}}
	if o.Wait {
		needs = append(needs, kafka.Need{Topic: c.Kafka.StatusTopic, Read: true})
	}
	if err := NeedTopics(ctx, client, needs...); err != nil {
		return nil, err
	}
	var follower *Follower
	if o.Wait { // before producing, so that no event is missed
		if follower, err = Follow(ctx, client, false, c.Kafka.StatusTopic); err != nil {
			return nil, err
		}
	}
	sent, err := produceAll(ctx, client, c.Kafka.RequestTopic, requests, o)
	if err != nil || !o.Wait {
		return sent, err
	}
	return sent, outcomes(ctx, follower, sent, o)
}

func produceAll(ctx context.Context, client *kgo.Client, topic string, requests []Outgoing, o SendOptions) ([]*Sent, error) {
	var sent []*Sent
	for len(requests) > 0 {
		n := firstBatch(requests)
		var records []*kgo.Record
		for _, r := range requests[:n] {
			records = append(records, &kgo.Record{Topic: topic, Key: []byte(r.MessageID), Value: r.Value})
		}
		failed := map[*kgo.Record]error{} // the answers come in no order
		for _, result := range client.ProduceSync(ctx, records...) {
			failed[result.Record] = result.Err
		}
		for _, r := range records {
			switch err := failed[r]; {
			case err != nil && ctx.Err() != nil:
				return sent, context.Cause(ctx)
			case err != nil:
				return sent, produceError(topic, err)
			}
			s := &Sent{MessageID: string(r.Key), Topic: topic, Partition: r.Partition, Offset: r.Offset}
			sent = append(sent, s)
			if o.Sent != nil {
				o.Sent(s)
			}
		}
		requests = requests[n:]
	}
	return sent, nil
}

// firstBatch returns how many of the first requests may share a batch.
func firstBatch(requests []Outgoing) int {
	sum := 0
	for i, r := range requests {
		if sum += len(r.Value) + len(r.MessageID) + 100; sum > largeRecord {
			return max(i, 1)
		}
	}
	return len(requests)
}

// outcomes reads status events until every request has its outcome.
func outcomes(ctx context.Context, follower *Follower, sent []*Sent, o SendOptions) error {
	bySource, open := map[models.Source]*Sent{}, len(sent)
	for _, s := range sent {
		bySource[models.Source{Topic: s.Topic, Partition: s.Partition, Offset: s.Offset}] = s
	}
	waiting, cancel := context.WithTimeoutCause(ctx, o.Timeout, ErrNoOutcome)
	defer cancel()
	for r, err := range follower.Records(waiting) {
		if err != nil {
			return err
		}
		source, _ := models.SourceOf(r.Headers)
		source.Timestamp = 0
		s := bySource[source]
		if s == nil {
			continue
		}
		ev, err := models.DecodeEvent(r.Value, r.Headers)
		if err != nil {
			continue
		}
		s.Events = append(s.Events, ev)
		if ev.EventType.Final() {
			if s.Outcome == "" {
				open--
			}
			s.Outcome = ev.EventType
		}
		if o.Event != nil {
			o.Event(s, &ev)
		}
		if open == 0 {
			return nil
		}
	}
	return nil // not reached: Records ends with an error
}
