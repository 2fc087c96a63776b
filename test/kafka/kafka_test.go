package kafka_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/test/kafka"
)

func client(t *testing.T, c *kafka.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Brokers()...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// roundTrip writes a record and reads back from the start until it is there.
func roundTrip(ctx context.Context, t *testing.T, c *kafka.Cluster, topic, value string) int {
	t.Helper()
	cl := client(t, c, kgo.ConsumeTopics(topic))
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		found := false
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			found = found || string(r.Value) == value
		})
		if found {
			return n
		}
	}
}

func TestOneNodeKeepsItsData(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := kafka.Start(t, kafka.Options{})
	topic := fmt.Sprint("kept-", time.Now().UnixNano())
	if _, err := kadm.NewClient(client(t, c)).CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	roundTrip(ctx, t, c, topic, "one")
	if !c.Controllable() {
		t.Skip("a cluster that was given is not restarted")
	}
	if err := c.Stop(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if n := roundTrip(ctx, t, c, topic, "two"); n != 2 {
		t.Errorf("%d records after the restart, want 2", n)
	}
}

func TestThreeNodesSurviveOne(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes take time")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := kafka.Start(t, kafka.Options{Nodes: 3})
	if !c.Controllable() {
		t.Skip("a cluster that was given is not stopped")
	}
	two := "2"
	if _, err := kadm.NewClient(client(t, c)).CreateTopic(ctx, 3, 3, map[string]*string{"min.insync.replicas": &two}, "safe"); err != nil {
		t.Fatal(err)
	}
	roundTrip(ctx, t, c, "safe", "before")
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	roundTrip(ctx, t, c, "safe", "after")
}
