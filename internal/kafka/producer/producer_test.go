package producer

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	testkafka "messaging-worker/test/kafka"
)

// However long records linger for company: who waits alone does not wait for
// it, and what was produced before goes along. Who has waited for long, as for a
// topic that is missing, is no company.
func TestWhoWaitsAloneDoesNotLinger(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(3, "status"))
	p, err := newProducer(Options{
		Kafka: kafka.Options{Brokers: cluster.ListenAddrs()}, ByPartition: []string{"status"}, Log: zerolog.Nop(),
	}, lateAfter, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	p.Produce(kgo.Record{Topic: "status", Value: []byte("x")})
	if err := p.Flush(ctx); err != nil { // so that the client knows the topic
		t.Fatal(err)
	}
	both := func() {
		first := p.Produce(kgo.Record{Topic: "status", Partition: 0, Value: []byte("x")})
		second := p.Produce(kgo.Record{Topic: "status", Partition: 1, Value: []byte("x")})
		if err := errors.Join(second.Wait(ctx), first.Wait(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		both()
	}
	stuck := p.Produce(kgo.Record{Topic: "missing", Value: []byte("x")})
	waiting := make(chan error)
	go func() { waiting <- stuck.Wait(ctx) }()
	defer func() { cancel(); <-waiting }()
	for p.waiters.Load() == 0 {
		runtime.Gosched()
	}
	p.lastWait.Store(0) // it has waited for long
	both()
}

// Who waits for a partition waits for what was handed over before, and not for
// what others go on to write there.
func TestFlushPartitionEndsWhileOthersWrite(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "status"))
	var p *Producer
	acknowledged := make(chan string, 1e6)
	p, err := New(Options{
		Kafka: kafka.Options{Brokers: cluster.ListenAddrs()}, ByPartition: []string{"status"}, Log: zerolog.Nop(),
		OnAck: func(r *kgo.Record) { // the next is there before this one is done
			acknowledged <- string(r.Value)
			p.Produce(kgo.Record{Topic: "status", Value: []byte("another's")})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Produce(kgo.Record{Topic: "status", Value: []byte("another's")})
	p.Produce(kgo.Record{Topic: "status", Value: []byte("ours")})
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := p.FlushPartition(ctx, "status", 0); err != nil {
		t.Fatal(err)
	}
	for len(acknowledged) > 0 {
		if <-acknowledged == "ours" {
			return
		}
	}
	t.Error("FlushPartition returned before our record was acknowledged")
}
