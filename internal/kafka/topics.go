package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Need is a topic and what must be allowed there.
type Need struct {
	Topic       string
	Read, Write bool
}

// MissingTopics asks the brokers for the topics and returns those that do not
// exist or may not be used as needed, each with the reason. It creates none.
// The error means that the brokers did not answer.
func MissingTopics(ctx context.Context, cl *kgo.Client, needs ...Need) ([]error, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation, req.IncludeTopicAuthorizedOperations = false, true
	for _, need := range needs {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(need.Topic)
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
		i := slices.IndexFunc(needs, func(n Need) bool { return n.Topic == name })
		if i < 0 {
			continue
		}
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			missing = append(missing, fmt.Errorf("topic %s does not exist", name))
		case err != nil && !kerr.IsRetriable(err):
			missing = append(missing, fmt.Errorf("topic %s: %w", name, err))
		case err == nil:
			missing = append(missing, forbidden(needs[i], t.AuthorizedOperations)...)
		}
	}
	return missing, nil
}

// forbidden returns what is needed and not allowed. Allowed has a bit for each
// operation, or is math.MinInt32 where the broker does not know.
func forbidden(n Need, allowed int32) []error {
	if allowed == math.MinInt32 {
		return nil
	}
	var list []error
	for _, op := range []struct {
		needed bool
		name   string
		bit    kmsg.ACLOperation
	}{{n.Read, "Read", kmsg.ACLOperationRead}, {n.Write, "Write", kmsg.ACLOperationWrite}} {
		if op.needed && allowed&(1<<op.bit) == 0 {
			list = append(list, fmt.Errorf("topic %s: no permission to %s (ACL)", n.Topic, op.name))
		}
	}
	return list
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

// MaxMessageBytes asks the brokers for a topic's max.message.bytes. The error
// means that they did not answer.
func MaxMessageBytes(ctx context.Context, cl *kgo.Client, topic string) (int, error) {
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("ask for settings of %s: %w", topic, err)
	}
	config, err := configs.On(topic, nil)
	if err = errors.Join(err, config.Err); err != nil {
		return 0, fmt.Errorf("ask for settings of %s: %w", topic, err)
	}
	for _, entry := range config.Configs {
		if entry.Key == "max.message.bytes" {
			n, err := strconv.Atoi(entry.MaybeValue())
			if err != nil {
				return 0, fmt.Errorf("max.message.bytes of %s: %w", topic, err)
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("settings of %s: no max.message.bytes", topic)
}
