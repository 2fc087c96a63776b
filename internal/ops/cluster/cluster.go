// Package cluster makes and checks what the workers need of Kafka: topics
// with room for their records, permissions, a group.
package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/ops"
)

// byConnection sorts channels by the cluster that their settings lead to, so
// that each is connected to once. The order of the channels is kept.
func byConnection(channels []*config.Config) [][]*config.Config {
	var keys []string
	var groups [][]*config.Config
	for _, c := range channels {
		k := &c.Kafka
		key := fmt.Sprint(k.Brokers, k.SecurityProtocol, k.SASLMechanism, k.SASLUsername, k.SASLTokenFile, k.TLSCAFile, k.TLSCertFile)
		i := slices.Index(keys, key)
		if i < 0 {
			keys, groups = append(keys, key), append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// perCluster joins what do returns for each cluster, given a connection and the
// channels that use it. An error ends it.
func perCluster[T any](
	ctx context.Context, channels []*config.Config, do func(*kgo.Client, []*config.Config) ([]T, error),
) ([]T, error) {
	var all []T
	for _, group := range byConnection(channels) {
		client, err := ops.Connect(ctx, group[0])
		if err != nil {
			return nil, err
		}
		list, err := do(client, group)
		client.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// allTopics lists the topics that channels should have and those of the
// connection check, each once.
func allTopics(channels []*config.Config) []string {
	var names []string
	for _, c := range channels {
		for _, l := range lanesToMake(c) {
			names = append(names, l.Kafka.RequestTopic)
		}
		names = append(names, c.Kafka.StatusTopic, c.Kafka.DLQTopic)
		if makesControl(c) {
			names = append(names, c.Kafka.ControlTopic)
		}
		names = append(names, c.Kafka.TempTopic)
	}
	return unique(names)
}

func unique(names []string) []string {
	var list []string
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// lanesToMake lists the lanes that a channel should have: normal, and those that
// somebody has named. Where nobody has named the channel's topics either, all
// have their usual names, and then it should have every lane.
func lanesToMake(c *config.Config) []*config.Config {
	return slices.DeleteFunc(c.Lanes(), func(l *config.Config) bool {
		return c.Kafka.LaneGiven && !l.Kafka.LaneGiven
	})
}

// makesControl reports whether there should be a control topic, by the same rule.
func makesControl(c *config.Config) bool { return c.Kafka.ControlGiven || !c.Kafka.LaneGiven }
