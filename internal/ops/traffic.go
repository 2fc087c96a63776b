package ops

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
)

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
