package ops

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
)

// Tail reads what is written to a topic from the moment it was made, or is in
// transactions that are committed since.
type Tail struct {
	client *kgo.Client
	topic  string
}

// NewTail connects by the settings and notes the topic's present end. Close it.
func NewTail(ctx context.Context, c *config.Config, topic string) (*Tail, error) {
	client, err := Connect(ctx, c)
	if err != nil {
		return nil, err
	}
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("ask for the end of %s: %w", topic, err)
	}
	offsets := map[int32]kgo.Offset{}
	for partition, end := range ends[topic] {
		offsets[partition] = kgo.NewOffset().At(end.Offset)
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets})
	return &Tail{client, topic}, nil
}

// Close ends the connection, and Each with it.
func (t *Tail) Close() { t.client.Close() }

// Each calls seen for every record, in the order of its partition, until seen
// returns false. Its error is a fault of reading or the cause of ctx's end; a
// broker that is away for a while is none.
func (t *Tail) Each(ctx context.Context, seen func(*kgo.Record) bool) error {
	for {
		fetches := t.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, failed := range fetches.Errors() {
			if kerr.IsRetriable(failed.Err) || kgo.IsRetryableBrokerErr(failed.Err) {
				continue
			}
			return fmt.Errorf("read %s: %w", t.topic, failed.Err)
		}
		for records := fetches.RecordIter(); !records.Done(); {
			if !seen(records.Next()) {
				return nil
			}
		}
	}
}
