package cluster

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
)

// Listed is a topic as it is.
type Listed struct {
	Topic       string            `json:"topic"`
	Problem     string            `json:"problem,omitzero"` // why there is nothing more to say
	Partitions  int               `json:"partitions"`
	Replication int               `json:"replication"`
	Records     int64             `json:"records"`           // between its ends, -1 where that is not known
	Settings    map[string]string `json:"settings,omitzero"` // those that Init cares about
}

// List shows the topics of the channels and that of the connection check.
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
	for _, name := range []string{cleanupPolicy, maxBytes, minISR, retentionBytes, retentionTime} {
		if value, ok := t.settings[name]; ok {
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
