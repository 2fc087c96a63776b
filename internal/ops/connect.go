package ops

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/ops/fault"
)

// connectTimeout bounds the wait for the first answer of a broker.
const connectTimeout = 10 * time.Second

// Connect makes a client of the settings and waits for a broker's first
// answer, so that a wrong address or password is a fault.NoBroker at once. The client
// reads committed records only, as the workers do. Opts are added to those of
// the settings. The caller closes the client.
func Connect(ctx context.Context, c *config.Config, opts ...kgo.Opt) (*kgo.Client, error) {
	o := kafka.FromSettings(&c.Kafka, "msgctl")
	shared, err := o.Client(zerolog.Nop())
	if err != nil {
		return nil, err
	}
	codec, err := o.Codec()
	if err != nil {
		return nil, err
	}
	shared = append(
		shared, kgo.ProducerBatchCompression(codec), kgo.UnknownTopicRetries(2), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	client, err := kgo.NewClient(append(shared, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("make Kafka client: %w", err)
	}
	asking, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := client.Ping(asking); err != nil {
		client.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.New(fault.NoBroker, "no broker of %s answers: %w", strings.Join(c.Kafka.Brokers, ","), err)
	}
	return client, nil
}
