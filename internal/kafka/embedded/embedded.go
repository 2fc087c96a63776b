// Package embedded runs a broker inside the process, for development: it
// speaks the Kafka protocol on a loopback port, so that any Kafka client can
// look in.
package embedded

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
)

// partitions of every topic of the embedded broker.
const partitions = 12

// maxMessageBytes lets dead letters of the largest legal request through:
// base64 makes it a third longer.
const maxMessageBytes = "16777216"

// Start starts a broker on a port, 0 for a free one, and creates the topics that
// it does not have, those of single with one partition. It keeps its data in
// dataDir, or where that is empty in memory. The caller closes it.
//
// Nothing is compacted: the broker does not know min.compaction.lag.ms, and would
// take away at once what real ones keep for days.
func Start(port int, dataDir string, topics []string, single ...string) (*kfake.Cluster, error) {
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(port), kfake.SeedTopics(partitions, topics...), kfake.SeedTopics(1, single...),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": maxMessageBytes, "group.initial.rebalance.delay.ms": "0"}),
	}
	if dataDir != "" {
		opts = append(opts, kfake.DataDir(dataDir))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start embedded broker on port %d: %w", port, err)
	}
	return cluster, nil
}
