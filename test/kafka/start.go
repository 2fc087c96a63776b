package kafka

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Start starts a cluster for one test and ends it with the test. Where Kafka
// cannot run, the test is skipped. On failure the logs are kept and named.
func Start(tb testing.TB, o Options) *Cluster {
	tb.Helper()
	//nolint:usetesting // the folder must outlive a failed test: it has the logs
	dir, err := os.MkdirTemp("", "kafka-test-*")
	if err != nil {
		tb.Fatal(err)
	}
	c, err := Launch(tb.Context(), dir, o)
	if errors.Is(err, ErrUnavailable) {
		tb.Skip(err)
	} else if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
		if tb.Failed() {
			tb.Logf("Kafka's logs are kept in %s\n%s", dir, c.Complaints())
			return
		}
		_ = os.RemoveAll(dir)
	})
	return c
}

// Embedded starts the embedded broker for one test, for what Apache Kafka
// cannot be made to do. Groups there do not wait for further members. It has
// one node unless opts say otherwise.
func Embedded(tb testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	tb.Helper()
	usual := []kfake.Opt{kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"})}
	c, err := kfake.NewCluster(append(usual, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

// Broker is either kind.
type Broker struct {
	Addresses  []string
	Real       bool   // Apache Kafka
	Why        string // it is not real
	Close      func()
	Complaints func() string
}

// LaunchAny starts Apache Kafka with one node in dir, or where that cannot be
// the embedded broker.
func LaunchAny(ctx context.Context, dir string) (*Broker, error) {
	c, err := Launch(ctx, dir, Options{})
	if err == nil {
		return &Broker{Addresses: c.Brokers(), Real: true, Close: func() { _ = c.Close() }, Complaints: c.Complaints}, nil
	}
	if !errors.Is(err, ErrUnavailable) {
		return nil, err
	}
	fake, fakeErr := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(12))
	if fakeErr != nil {
		return nil, errors.Join(err, fakeErr)
	}
	return &Broker{Addresses: fake.ListenAddrs(), Why: err.Error(), Close: fake.Close, Complaints: func() string { return "" }}, nil
}
