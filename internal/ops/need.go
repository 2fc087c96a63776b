package ops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// topicTimeout is how long a topic may take to be known to every broker after
// its creation was answered.
const topicTimeout = 5 * time.Second

// TopicsError lists topics that do not exist or may not be used as needed.
type TopicsError struct{ error }

// Unwrap returns the problems, joined.
func (e *TopicsError) Unwrap() error { return e.error }

// NeedTopics returns a *TopicsError where a topic does not exist or may not be
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
			return &TopicsError{errors.Join(missing...)}
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

// ProduceError means that a topic did not take a record.
type ProduceError struct {
	Topic string
	Err   error
}

// Error implements error.
func (e *ProduceError) Error() string {
	text := fmt.Sprintf("produce to %s: %v", e.Topic, e.Err)
	if errors.Is(e.Err, kerr.MessageTooLarge) || errors.Is(e.Err, kerr.RecordListTooLarge) {
		text += "; raise the topic's max.message.bytes, or send less"
	}
	return text
}

// Unwrap returns the cause.
func (e *ProduceError) Unwrap() error { return e.Err }

// NoTopic reports whether the topic does not exist.
func (e *ProduceError) NoTopic() bool { return errors.Is(e.Err, kerr.UnknownTopicOrPartition) }
