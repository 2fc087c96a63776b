package cluster

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

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
)

// topic is what the brokers say of one.
type topic struct {
	name        string
	err         error // why there is nothing to say; nil where there is
	partitions  []kmsg.MetadataResponseTopicPartition
	settings    map[string]string
	settingsErr error // why the settings are not known; nil where they are
}

func (t *topic) exists() bool    { return t.err == nil }
func (t *topic) missing() bool   { return errors.Is(t.err, kerr.UnknownTopicOrPartition) }
func (t *topic) forbidden() bool { return errors.Is(t.err, kerr.TopicAuthorizationFailed) }

// ready reports whether every partition has a leader.
func (t *topic) ready() bool {
	return t.exists() && !slices.ContainsFunc(t.partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 })
}

// replication is that of the partition with the fewest replicas.
func (t *topic) replication() int {
	least := math.MaxInt
	for _, p := range t.partitions {
		least = min(least, len(p.Replicas))
	}
	return least
}

// amount returns a setting where more is more: without a limit (-1) it is the
// highest number. False means that it is not known.
func (t *topic) amount(setting string) (int64, bool) {
	n, err := strconv.ParseInt(t.settings[setting], 10, 64)
	if n < 0 {
		n = math.MaxInt64
	}
	return n, err == nil
}

// amountText is what Kafka calls an amount.
func amountText(n int64) string {
	if n == math.MaxInt64 {
		return "-1"
	}
	return strconv.FormatInt(n, 10)
}

// describeTopics asks for topics and their settings. It creates none. The error means
// that the brokers do not answer.
func describeTopics(ctx context.Context, cl *kgo.Client, names ...string) (map[string]*topic, error) {
	answers, err := kafka.Metadata(ctx, cl, names...)
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	found := map[string]*topic{}
	for _, name := range names {
		found[name] = &topic{name: name, err: kerr.UnknownTopicOrPartition}
	}
	for _, answer := range answers {
		t := found[*answer.Topic]
		if t.err = kerr.ErrorForCode(answer.ErrorCode); t.err == nil {
			t.partitions = answer.Partitions
			// Topic by topic: one that may not be described must not hide the
			// others.
			var settings map[string]map[string]string
			settings, t.settingsErr = kafka.TopicSettings(ctx, cl, t.name)
			t.settings = settings[t.name]
		}
	}
	return found, nil
}

// Listed is a topic as it is.
type Listed struct {
	Topic       string            `json:"topic"`
	Problem     string            `json:"problem,omitzero"` // why there is nothing more to say
	Partitions  int               `json:"partitions"`
	Replication int               `json:"replication"`
	Records     int64             `json:"records"`           // between its ends, -1 where that is not known
	Settings    map[string]string `json:"settings,omitzero"` // those that Init cares about
}

// List shows the topics that the channels should have and that of the
// connection check.
func List(ctx context.Context, channels []*config.Config) ([]Listed, error) {
	return perCluster(ctx, channels, func(client *kgo.Client, channels []*config.Config) ([]Listed, error) {
		names := allTopics(channels)
		found, err := describeTopics(ctx, client, names...)
		if err != nil {
			return nil, err
		}
		var list []Listed
		for _, name := range names {
			list = append(list, listed(ctx, client, found[name]))
		}
		return list, nil
	})
}

func listed(ctx context.Context, client *kgo.Client, t *topic) Listed {
	l := Listed{Topic: t.name, Records: -1}
	switch {
	case t.missing():
		l.Problem = "missing"
		return l
	case !t.exists():
		l.Problem = refusal("Describe", t.err, "")
		return l
	}
	l.Partitions, l.Replication = len(t.partitions), t.replication()
	l.Records = records(ctx, client, t.name)
	for _, name := range []string{cleanupPolicy, maxBytes, compactionLag, minISR, retentionBytes, retentionTime} {
		if value, ok := t.settings[name]; ok && (name != compactionLag || value != "0") {
			if l.Settings == nil {
				l.Settings = map[string]string{}
			}
			l.Settings[name] = value
		}
	}
	return l
}

// records counts what lies between a topic's ends, or returns -1.
func records(ctx context.Context, client *kgo.Client, name string) int64 {
	admin := kadm.NewClient(client)
	starts, noStart := kafka.Listed(admin.ListStartOffsets(ctx, name))
	ends, noEnd := kafka.Listed(admin.ListEndOffsets(ctx, name))
	if noStart != nil || noEnd != nil {
		return -1
	}
	n := int64(0)
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(name, end.Partition); ok {
			n += end.Offset - start.Offset
		}
	})
	return n
}
