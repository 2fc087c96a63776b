package ops

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
)

// NeedTopics returns an error that names what is missing, and what to do,
// where a topic does not exist or may not be used as needed.
func NeedTopics(ctx context.Context, client *kgo.Client, needs ...kafka.Need) error {
	missing, err := kafka.MissingTopics(ctx, client, needs...)
	if err != nil {
		return err
	}
	if err := errors.Join(missing...); err != nil {
		return fmt.Errorf("%w; msgctl topics init creates topics, and the settings KAFKA_…_TOPIC name them", err)
	}
	return nil
}

// explainProduce adds what to do to an error of producing to a topic.
func explainProduce(topic string, err error) error {
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("produce to %s: %w; raise the topic's max.message.bytes, or send less", topic, err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("produce to %s: %w; msgctl topics init creates topics", topic, err)
	default:
		return fmt.Errorf("produce to %s: %w", topic, err)
	}
}
