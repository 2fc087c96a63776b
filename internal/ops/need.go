package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/ops/fault"
)

// topicTimeout is how long a topic may take to be known to every broker after
// its creation was answered.
const topicTimeout = 5 * time.Second

// NeedTopics returns a fault.TopicsMissing where a topic does not exist or may not be
// used as needed. It gives a topic that was just created a few seconds to
// appear.
func NeedTopics(ctx context.Context, client *kgo.Client, needs ...kafka.Need) error {
	giveUp := time.After(topicTimeout)
	for {
		missing, err := kafka.MissingTopics(ctx, client, needs...)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-time.After(topicTimeout / 20):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-giveUp:
			return fault.New(fault.TopicsMissing, "%w", errors.Join(missing...))
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
		timer := time.AfterFunc(grace, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
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
