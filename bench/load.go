package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// topics are one run's own. Those of further lanes and of orders are made by
// the scenarios that want them.
type topics struct{ requests, status, dlq, group, high, bulk, control string }

func (b *bench) newTopics(ctx context.Context, partitions int32) (topics, error) {
	b.topics++
	name := func(kind string) string { return fmt.Sprintf("bench-%d.%s", b.topics, kind) }
	t := topics{
		requests: name("request"), status: name("status"), dlq: name("dlq"), group: name("group"),
		high: name("request.high"), bulk: name("request.bulk"), control: name("control"),
	}
	return t, b.create(ctx, partitions, t.requests, t.status, t.dlq)
}

func (b *bench) create(ctx context.Context, partitions int32, names ...string) error {
	responses, err := b.admin.CreateTopics(ctx, partitions, 1, nil, names...)
	if err = errors.Join(err, responses.Error()); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for { // until every broker knows of them
		ends, err := b.admin.ListEndOffsets(ctx, names...)
		if err = errors.Join(err, ends.Error()); err == nil {
			return nil
		}
		if wait(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("create topics: %w", err)
		}
	}
}

// drop deletes the topics: a run's records would only fill the disk.
func (b *bench) drop(t topics) {
	_, _ = b.admin.DeleteTopics(context.Background(), t.requests, t.status, t.dlq, t.high, t.bulk, t.control)
}

// hint is meta for the mock provider: name, value, name, value.
type hint []string

// fill produces n requests of some 300 bytes; hints gives those of number i.
func (b *bench) fill(ctx context.Context, topic string, n int, hints func(i int) hint) error {
	return b.produce(ctx, n, func(i int) *kgo.Record {
		id, value := request(i, hints)
		return &kgo.Record{Topic: topic, Key: []byte(id), Value: value}
	})
}

// produce writes n records and waits for them.
func (b *bench) produce(ctx context.Context, n int, record func(i int) *kgo.Record) error {
	var mu sync.Mutex
	var failed error
	for i := range n {
		b.client.Produce(ctx, record(i), func(_ *kgo.Record, err error) {
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	err := b.client.Flush(ctx)
	mu.Lock()
	defer mu.Unlock()
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("produce requests: %w", err)
	}
	return nil
}

func request(i int, hints func(i int) hint) (id string, value []byte) {
	id = fmt.Sprintf("%08x-0000-4000-a000-%012x", i, i)
	var meta strings.Builder
	if hints != nil {
		h := hints(i)
		for k := 0; k+1 < len(h); k += 2 {
			fmt.Fprintf(&meta, `,%q:%q`, h[k], h[k+1])
		}
	}
	return id, fmt.Appendf(nil, `{"message_id":%q,"channel":"sms","tenant_id":"acme","trace_id":"trace-123",`+
		`"created_at":"2025-10-16T09:31:15Z","meta":{"campaign":"autumn"%s},"from":"+15551234567","to":["+15557654321"],`+
		`"body":{"type":"text","content":"Your one-time code is 123456, it is valid for ten minutes."}}`, id, meta.String())
}
