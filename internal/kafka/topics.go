package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// MissingTopics asks the brokers for the topics and returns those that do not
// exist or may not be seen, each with the reason. It creates none. The error
// means that the brokers did not answer.
func MissingTopics(ctx context.Context, cl *kgo.Client, topics ...string) ([]error, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(topic)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, fmt.Errorf("brokers do not answer: %w", err)
	}
	var missing []error
	for _, t := range resp.Topics {
		name := ""
		if t.Topic != nil {
			name = *t.Topic
		}
		if !slices.Contains(topics, name) {
			continue
		}
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			missing = append(missing, fmt.Errorf("topic %s does not exist", name))
		case err != nil && !kerr.IsRetriable(err):
			missing = append(missing, fmt.Errorf("topic %s: %w", name, err))
		}
	}
	return missing, nil
}

// Partitions asks the brokers how many partitions a topic has.
func Partitions(ctx context.Context, cl *kgo.Client, topic string) (int, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = new(topic)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return 0, fmt.Errorf("brokers do not answer: %w", err)
	}
	if len(resp.Topics) != 1 {
		return 0, fmt.Errorf("topic %s: no answer", topic)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return 0, fmt.Errorf("topic %s: %w", topic, err)
	}
	return len(resp.Topics[0].Partitions), nil
}
