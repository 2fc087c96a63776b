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
)

// connectTimeout bounds the wait for the first answer of a broker.
const connectTimeout = 10 * time.Second

// NoBrokerError means that none of the brokers answers, or lets us in.
type NoBrokerError struct {
	Brokers []string
	Err     error
}

// Error implements error.
func (e *NoBrokerError) Error() string {
	return fmt.Sprintf("no broker of %s answers: %v", strings.Join(e.Brokers, ","), e.Err)
}

// Unwrap returns the cause.
func (e *NoBrokerError) Unwrap() error { return e.Err }

// Connect makes a client of the settings and waits for a broker's first
// answer, so that a wrong address or password is a *NoBrokerError at once. The client
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
		return nil, &NoBrokerError{c.Kafka.Brokers, err}
	}
	return client, nil
}
