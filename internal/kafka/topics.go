package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

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

// Metadata asks the brokers for topics, with what the client is allowed to do
// there. It creates none.
func Metadata(ctx context.Context, cl *kgo.Client, topics ...string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation, req.IncludeTopicAuthorizedOperations = false, true
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(topic)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what for
	}
	return slices.DeleteFunc(resp.Topics, func(t kmsg.MetadataResponseTopic) bool {
		return t.Topic == nil || !slices.Contains(topics, *t.Topic)
	}), nil
}

// MissingTopics asks the brokers for the topics and returns those that do not
// exist or may not be used as needed, each with the reason. It creates none.
// The error means that the brokers did not answer.
func MissingTopics(ctx context.Context, cl *kgo.Client, needs ...Need) ([]error, error) {
	var names []string
	for _, need := range needs {
		names = append(names, need.Topic)
	}
	topics, err := Metadata(ctx, cl, names...)
	if err != nil {
		return nil, fmt.Errorf("brokers do not answer: %w", err)
	}
	var missing []error
	for i := range topics {
		missing = append(missing, needs[slices.Index(names, *topics[i].Topic)].Faults(&topics[i])...)
	}
	return missing, nil
}

// Faults returns why the brokers' answer does not let the topic be used as
// needed. What brokers say that are about to change something is no fault.
func (n Need) Faults(answer *kmsg.MetadataResponseTopic) []error {
	switch err := kerr.ErrorForCode(answer.ErrorCode); {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return []error{fmt.Errorf("topic %s does not exist", n.Topic)}
	case err != nil && !kerr.IsRetriable(err):
		return []error{fmt.Errorf("topic %s: %w", n.Topic, err)}
	case err == nil:
		return forbidden(n, answer.AuthorizedOperations)
	}
	return nil
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

// TopicSettings asks the brokers for the settings of topics, by topic and name.
func TopicSettings(ctx context.Context, cl *kgo.Client, topics ...string) (map[string]map[string]string, error) {
	answers, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("ask for settings of %s: %w", strings.Join(topics, " and "), err)
	}
	found := map[string]map[string]string{}
	for _, answer := range answers {
		if answer.Err != nil {
			return nil, fmt.Errorf("ask for settings of %s: %w", answer.Name, answer.Err)
		}
		found[answer.Name] = map[string]string{}
		for _, entry := range answer.Configs {
			found[answer.Name][entry.Key] = entry.MaybeValue()
		}
	}
	return found, nil
}

// MaxMessageBytes asks the brokers for a topic's max.message.bytes. The error
// means that they do not tell.
func MaxMessageBytes(ctx context.Context, cl *kgo.Client, topic string) (int, error) {
	settings, err := TopicSettings(ctx, cl, topic)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(settings[topic]["max.message.bytes"])
	if err != nil {
		return 0, fmt.Errorf("max.message.bytes of %s: %w", topic, err)
	}
	return n, nil
}

// Listed returns an answer to one of kadm's List…Offsets, with the error of its
// first partition that has one.
func Listed(offsets kadm.ListedOffsets, err error) (kadm.ListedOffsets, error) {
	return offsets, cmp.Or(err, offsets.Error())
}

// JournalFaults lists the topic settings with which the status topic may lose
// events of requests that are still in the request topic. With such a fault a
// crash may repeat messages; nothing is lost. The error means that the brokers
// did not answer.
func JournalFaults(ctx context.Context, cl *kgo.Client, requests, status string) ([]string, error) {
	found, err := TopicSettings(ctx, cl, requests, status)
	if err != nil {
		return nil, err
	}
	return faults(found[requests], found[status]), nil
}

func faults(requests, status map[string]string) []string {
	var list []string
	if policy := status["cleanup.policy"]; strings.Contains(policy, "compact") {
		list = append(list, fmt.Sprintf("cleanup.policy is %s, want delete: compaction removes events", policy))
	}
	for _, setting := range []struct {
		key  string
		tell func(int64) string
	}{
		{"retention.ms", func(n int64) string { return (time.Duration(n) * time.Millisecond).String() }},
		{"retention.bytes", func(n int64) string { return strconv.FormatInt(n, 10) }},
	} {
		kept, ok := limit(status[setting.key])
		wanted, ok2 := limit(requests[setting.key])
		if ok && ok2 && kept < wanted {
			list = append(list, fmt.Sprintf(
				"%s is %s, less than the request topic's: events go while their requests are still there",
				setting.key, setting.tell(kept),
			))
		}
	}
	return list
}

// limit reads a retention; -1 means none.
func limit(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if n < 0 {
		n = 1<<63 - 1
	}
	return n, err == nil
}
