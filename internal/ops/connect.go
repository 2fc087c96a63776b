package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
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

// topicTimeout is how long a topic may take to be known to every broker after
// its creation was answered.
const topicTimeout = 5 * time.Second

// NeedTopics returns a fault.TopicsMissing where a topic does not exist or may not be
// used as needed. It gives a topic that was just created a few seconds to
// appear.
func NeedTopics(ctx context.Context, client *kgo.Client, needs ...kafka.Need) error {
	appearing, cancel := context.WithTimeout(ctx, topicTimeout)
	defer cancel()
	for {
		missing, err := kafka.MissingTopics(ctx, client, needs...)
		if err != nil || len(missing) == 0 {
			return err
		}
		if lifetime.Sleep(appearing, topicTimeout/20) != nil {
			return cmp.Or(context.Cause(ctx), fault.New(fault.TopicsMissing, "%w", errors.Join(missing...)))
		}
	}
}

// InteractiveProducer returns the options of a producer whose user waits for the
// acknowledgements: delivery fails with the first try that ends after 30 s
// without a broker, and cancelling the context ends it.
func InteractiveProducer() []kgo.Opt {
	return []kgo.Opt{kgo.RecordDeliveryTimeout(30 * time.Second), kgo.AllowIdempotentProduceCancellation()}
}

// WithGrace returns a context that ends that long after ctx does, for what was
// begun before an interruption. The caller must call cancel.
func WithGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = lifetime.Sleep(longer, grace) // if it ends early, longer has ended
		cancel(context.Cause(ctx))
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// produceError is the error of producing to a topic.
func produceError(topic string, err error) error {
	const format = "produce to %s: %w"
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf(format+"; raise the topic's max.message.bytes, or send less", topic, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fault.New(fault.NoTopicToSend, format, topic, err)
	}
	return fmt.Errorf(format, topic, err)
}
