// Package embedded runs a broker inside the process, for development: it
// speaks the Kafka protocol on a loopback port, so that any Kafka client can
// look in.
package embedded

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Partitions of every topic of the embedded broker.
const Partitions = 12

// maxMessageBytes lets dead letters of the largest legal request through:
// base64 makes it a third longer.
const maxMessageBytes = "16777216"

// Options of a Broker.
type Options struct {
	Port    int    // 0 takes a free one
	DataDir string // where data is kept between runs; empty keeps it in memory
	Topics  []string
}

// Broker is a running embedded broker.
type Broker struct{ cluster *kfake.Cluster }

// Start starts a broker and creates the topics that it does not have.
func Start(o Options) (*Broker, error) {
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(o.Port), kfake.SeedTopics(Partitions, o.Topics...),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": maxMessageBytes, "group.initial.rebalance.delay.ms": "0"}),
	}
	if o.DataDir != "" {
		opts = append(opts, kfake.DataDir(o.DataDir))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("start embedded broker on port %d: %w", o.Port, err)
	}
	return &Broker{cluster}, nil
}

// Addrs returns where the broker listens.
func (b *Broker) Addrs() []string { return b.cluster.ListenAddrs() }

// Close ends the broker.
func (b *Broker) Close() { b.cluster.Close() }
