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

// allTopics lists the topics of channels and those of the connection check,
// each once.
func allTopics(channels []*config.Config) []string {
	var names []string
	for _, c := range channels {
		for _, name := range append(topicsOf(c), c.Kafka.TempTopic) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// topicsOf lists the topics of a channel: requests, events, dead letters.
func topicsOf(c *config.Config) []string {
	return []string{c.Kafka.RequestTopic, c.Kafka.StatusTopic, c.Kafka.DLQTopic}
}
