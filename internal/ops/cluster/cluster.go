// Package cluster makes and checks what the workers need of Kafka: topics
// with room for their records, permissions, a group.
package cluster

import (
	"fmt"
	"slices"

	"messaging-worker/internal/config"
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

// topicsOf lists the topics of a channel: requests, events, dead letters.
func topicsOf(c *config.Config) []string {
	return []string{c.Kafka.RequestTopic, c.Kafka.StatusTopic, c.Kafka.DLQTopic}
}
