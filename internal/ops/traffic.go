package ops

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Topics are those of one channel.
type Topics struct{ Request, Status, DLQ string }

// Traffic produces requests and follows what becomes of them.
type Traffic struct {
	client *kgo.Client
	topics map[models.Channel]Topics
}

// NewTraffic connects to the brokers. It follows from now on: what the topics
// held before is not shown.
func NewTraffic(ctx context.Context, brokers []string, topics map[models.Channel]Topics) (*Traffic, error) {
	seeds := kgo.SeedBrokers(brokers...)
	asking, err := kgo.NewClient(seeds)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer asking.Close()
	var status []string
	for _, t := range topics {
		status = append(status, t.Status)
	}
	ends, err := kadm.NewClient(asking).ListCommittedOffsets(ctx, status...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of the status topics: %w", err)
	}
	client, err := kgo.NewClient(
		seeds, kgo.ConsumePartitions(ends.KOffsets()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ProducerLinger(0),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	return &Traffic{client, topics}, nil
}

// Close ends the connection.
func (t *Traffic) Close() { t.client.Close() }

// Produce writes one request and waits for its acknowledgement.
func (t *Traffic) Produce(ctx context.Context, r Request) error {
	err := t.client.ProduceSync(ctx, r.Record(t.topics[r.Channel].Request)).FirstErr()
	if err != nil {
		return fmt.Errorf("produce request: %w", err)
	}
	return nil
}

// Follow calls seen for each status event, in each message's order, until ctx
// ends.
func (t *Traffic) Follow(ctx context.Context, seen func(models.StatusEvent)) error {
	for {
		fetches := t.client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil //nolint:nilerr // the end of ctx is how following ends
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("follow status events: %w", failed.Err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var ev models.StatusEvent
			if json.Unmarshal(r.Value, &ev) == nil { // foreign records are not ours to judge
				seen(ev)
			}
		})
	}
}
