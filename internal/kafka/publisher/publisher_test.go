package publisher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// refusing is an embedded broker that refuses produce requests while told to.
type refusing struct {
	*kfake.Cluster

	code atomic.Int32 // error code for every partition; 0 lets through
	hits atomic.Int32 // how often it refused

	largest atomic.Int64 // bytes of a batch that it was sent
}

func newBroker(t *testing.T, opts ...kfake.Opt) *refusing {
	t.Helper()
	c := testkafka.Embedded(t, append(opts, kfake.SeedTopics(3, "status", "dlq"))...)
	r := &refusing{Cluster: c}
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		for _, topic := range produce.Topics {
			for _, p := range topic.Partitions {
				r.largest.Store(max(r.largest.Load(), int64(len(p.Records)))) // one request at a time comes here
			}
		}
		code := int16(r.code.Load())
		if code == 0 {
			return nil, nil, false
		}
		r.hits.Add(1)
		return testkafka.Refuse(req, code), nil, true
	})
	return r
}

func newPublisher(t *testing.T, brokers []string) *publisher.Publisher {
	t.Helper()
	p, err := publisher.New(publisher.Options{
		Kafka:       kafka.Options{Brokers: brokers, ClientID: "sms-worker", Compression: "lz4"},
		StatusTopic: "status", DLQTopic: "dlq", Host: "host-1", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Dead letters that go apart and do not get through hold up no event.
func TestDeadLettersApart(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	p, err := publisher.New(publisher.Options{
		Kafka:       kafka.Options{Brokers: broker.ListenAddrs(), ClientID: "sms-worker"},
		DeadLetters: &kafka.Options{Brokers: []string{"127.0.0.1:1"}, ClientID: "sms-worker.dlq"}, // nobody is there
		StatusTopic: "status", DLQTopic: "dlq", Host: "host-1", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	stuck, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- p.DLQ(stuck, source(0), &models.DLQRecord{MessageID: "m", Channel: models.SMS, FailureType: models.FailurePermanent})
	}()
	for range 3 {
		if err := p.Status(t.Context(), source(0), &models.StatusEvent{MessageID: "m", EventType: models.EventQueued}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("DLQ = %v, want that it waits until the end of ctx", err)
	}
	if err := p.Flush(stuck); err == nil {
		t.Error("Flush = nil while a dead letter is on its way")
	}
}

func source(partition int32) *models.Record {
	return &models.Record{
		Topic: "requests", Partition: partition, Offset: 42, Timestamp: time.UnixMilli(1760607000123), Value: []byte(`{"a":1}`),
		Headers: []models.Header{
			{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
			{Key: "x", Value: []byte("1")},
			{Key: "worker", Value: []byte("forged")},
			{Key: "x", Value: nil},
		},
	}
}

func event(kind models.EventType, n int) *models.StatusEvent {
	return &models.StatusEvent{MessageID: "m", Channel: models.SMS, EventType: kind, Attempt: n, Timestamp: time.Now(), TenantID: "acme"}
}

// read returns the first n records of a topic in order.
func read(t *testing.T, brokers []string, topic string, n int) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var list []*kgo.Record
	for len(list) < n {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records of %s, want %d", len(list), topic, n)
		}
		list = append(list, fetches.Records()...)
	}
	return list
}

func TestStatusRecord(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := newPublisher(t, b.ListenAddrs())
	if err := p.Status(t.Context(), source(7), event(models.EventSent, 1)).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := read(t, b.ListenAddrs(), "status", 1)[0]
	if r.Partition != 1 || string(r.Key) != "m" {
		t.Errorf("partition %d, key %s, want 7 modulo 3 and the message id", r.Partition, r.Key)
	}
	got := headers(r)
	want := "content-type=application/json worker=sms-worker@host-1 source-topic=requests source-partition=7 source-offset=42 " +
		"source-timestamp=1760607000123 traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 tenant-id=acme"
	if got != want {
		t.Errorf("headers %s\nwant    %s", got, want)
	}
}

func headers(r *kgo.Record) string {
	var parts []string
	for _, h := range r.Headers {
		parts = append(parts, h.Key+"="+string(h.Value))
	}
	return strings.Join(parts, " ")
}

func deadLetter(src *models.Record) *models.DLQRecord {
	return &models.DLQRecord{
		MessageID: "m", Channel: models.SMS, OriginalMessage: models.NewOriginal(src.Value), Attempts: 1,
		FailureType: models.FailurePermanent, FirstFailedAt: time.Now(), LastAttemptAt: time.Now(), Meta: map[string]string{"a": "b"},
	}
}

func TestDeadLetterKeepsTheRequestsHeaders(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	p := newPublisher(t, b.ListenAddrs())
	if err := p.DLQ(t.Context(), source(7), deadLetter(source(7))); err != nil {
		t.Fatal(err)
	}
	got := headers(read(t, b.ListenAddrs(), "dlq", 1)[0])
	if !strings.HasSuffix(got, " x=1 x=") || strings.Contains(got, "forged") || strings.Count(got, "traceparent=") != 1 {
		t.Errorf("headers %s, want the worker's own and then the request's", got)
	}
	src := source(8) // names of the worker's that it has nothing to say under
	src.Headers = []models.Header{{Key: "traceparent", Value: []byte("garbage")}, {Key: "tenant-id", Value: []byte("other")}, {Key: "attempt-run", Value: []byte("7")}}
	if err := p.DLQ(t.Context(), src, deadLetter(src)); err != nil {
		t.Fatal(err)
	}
	if got = headers(read(t, b.ListenAddrs(), "dlq", 2)[1]); !strings.HasSuffix(got, " traceparent=garbage tenant-id=other attempt-run=7") {
		t.Errorf("headers %s, want those of the request that none of the worker's replaces", got)
	}
}

// Whatever Kafka refuses for whatever reason is written in the end, each
// message's events in order and once.
func TestRefusedRecordsAreWrittenInOrder(t *testing.T) {
	t.Parallel()
	for _, code := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.PolicyViolation, kerr.MessageTooLarge, kerr.InvalidRecord, kerr.NotEnoughReplicas} {
		t.Run(code.Message, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			b.code.Store(int32(code.Code))
			p := newPublisher(t, b.ListenAddrs())
			var acks []publisher.Ack
			for n := range 5 {
				acks = append(acks, p.Status(t.Context(), source(1), event(models.EventAttempt, n)))
			}
			for b.hits.Load() < 3 {
				select {
				case <-time.After(5 * time.Millisecond):
				case <-t.Context().Done():
					t.Fatal("nothing was refused")
				}
			}
			b.code.Store(0)
			for _, ack := range acks {
				if err := ack.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var order []string
			for _, r := range read(t, b.ListenAddrs(), "status", 5) {
				var ev models.StatusEvent
				if err := json.Unmarshal(r.Value, &ev); err != nil {
					t.Fatal(err)
				}
				order = append(order, strconv.Itoa(ev.Attempt))
			}
			if got := strings.Join(order, ""); got != "01234" {
				t.Errorf("order %s, want 01234", got)
			}
		})
	}
}

func TestWaitsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.code.Store(int32(kerr.TopicAuthorizationFailed.Code))
	p := newPublisher(t, b.ListenAddrs())
	ctx, cancel := context.WithCancel(t.Context())
	wait := p.Status(t.Context(), source(1), event(models.EventSent, 1))
	cancel()
	if err := wait.Wait(ctx); err == nil {
		t.Error("wait = nil though nothing was written")
	}
	p.Close()
	if err := wait.Wait(t.Context()); err == nil {
		t.Error("wait = nil after Close though nothing was written")
	}
}

func TestDeadLettersShrinkUntilTheyFit(t *testing.T) {
	t.Parallel()
	b := newBroker(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "2000"}))
	p := newPublisher(t, b.ListenAddrs())
	fat := source(1)
	fat.Value = []byte(`{"x":"` + random(5000) + `"}`)
	fatHeaders := source(1)
	fatHeaders.Headers = append(fatHeaders.Headers, models.Header{Key: "fat", Value: []byte(random(5000))})
	for _, src := range []*models.Record{source(1), fat, fatHeaders} {
		if err := p.DLQ(t.Context(), src, deadLetter(src)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range read(t, b.ListenAddrs(), "dlq", 3) {
		rec, err := models.DecodeDLQRecord(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s/%s/%s/%v", rec.Meta["original_omitted"], rec.Meta["headers_omitted"], rec.Meta["original_bytes"], strings.Contains(headers(r), " x=1")))
	}
	want := fmt.Sprintf("///true true//%d/true true/true/7/false", len(fat.Value))
	if s := strings.Join(got, " "); s != want {
		t.Errorf("omitted/headers omitted/bytes/own headers: %s, want %s", s, want)
	}
}

// random returns text that does not compress.
func random(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	b, seed := make([]byte, n), uint64(1)
	for i := range b {
		seed = seed*6364136223846793005 + 1442695040888963407
		b[i] = letters[seed>>58]
	}
	return string(b)
}
