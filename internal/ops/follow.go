package ops

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
)

// Follower reads what is written to topics.
type Follower struct{ client *kgo.Client }

// Follow has a client that consumes nothing yet read the topics: from their
// starts, or from their present ends, so that no record written after Follow
// returns is missed. A client that reads committed records begins where the
// first open transaction does.
func Follow(ctx context.Context, client *kgo.Client, fromStart bool, topics ...string) (*Follower, error) {
	admin := kadm.NewClient(client)
	list, which := admin.ListCommittedOffsets, "end"
	if fromStart {
		list, which = admin.ListStartOffsets, "start"
	}
	offsets, err := kafka.Listed(list(ctx, topics...))
	if err != nil {
		return nil, fmt.Errorf("ask for the %s of %s: %w", which, strings.Join(topics, ", "), err)
	}
	client.AddConsumePartitions(offsets.KOffsets())
	return &Follower{client}, nil
}

// Records yields the records as they are written, in the order of each
// partition. It ends with an error: the cause of ctx's end, or a failure to
// read. A broker that is away for a while is none.
func (f *Follower) Records(ctx context.Context) iter.Seq2[*kgo.Record, error] {
	return func(yield func(*kgo.Record, error) bool) {
		for {
			fetches := f.client.PollFetches(ctx)
			if ctx.Err() != nil {
				yield(nil, context.Cause(ctx))
				return
			}
			for _, failed := range fetches.Errors() {
				if !kerr.IsRetriable(failed.Err) && !kgo.IsRetryableBrokerErr(failed.Err) {
					yield(nil, fmt.Errorf("follow %s/%d: %w", failed.Topic, failed.Partition, failed.Err))
					return
				}
			}
			for records := fetches.RecordIter(); !records.Done(); {
				if !yield(records.Next(), nil) {
					return
				}
			}
		}
	}
}

// Traffic produces requests one by one and follows status topics, over one
// connection. Close it.
type Traffic struct {
	*Follower
}

// NewTraffic connects by the settings. It follows the status topics from their
// present ends on.
func NewTraffic(ctx context.Context, c *config.Config, statusTopics ...string) (*Traffic, error) {
	client, err := Connect(ctx, c, kgo.ProducerLinger(0))
	if err != nil {
		return nil, err
	}
	follower, err := Follow(ctx, client, false, statusTopics...)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &Traffic{follower}, nil
}

// Close ends the connection.
func (t *Traffic) Close() { t.client.Close() }

// Produce writes one request to a topic and waits for its acknowledgement.
func (t *Traffic) Produce(ctx context.Context, r *Request, topic string) error {
	if err := t.client.ProduceSync(ctx, r.Record(topic)).FirstErr(); err != nil {
		return produceError(topic, err)
	}
	return nil
}
