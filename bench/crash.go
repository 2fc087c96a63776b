package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// crash kills a worker whose partitions are pinned by long backoffs, and
// measures its successor.
func crash(ctx context.Context, b *bench, t topics) (figures, error) {
	n := max(int(120_000*b.scale), 2000)
	if err := b.pin(ctx, t, n); err != nil {
		return nil, err
	}
	if err := b.fill(ctx, t.requests, 2*n, nil); err != nil {
		return nil, err
	}
	env := map[string]string{
		"WORKER_CONCURRENCY": "200", "MOCK_LATENCY_SECONDS": "0.05", "KAFKA_GROUP_INSTANCE_ID": "bench",
		"MAX_PENDING_MESSAGES": "10000", "MAX_BACKOFF_SECONDS": "120",
	}
	p, err := b.startWorker(t, env)
	if err != nil {
		return nil, err
	}
	if err := b.waitRecords(ctx, t.status, 3*n); err != nil {
		return nil, err
	}
	_ = p.end(syscall.SIGKILL)
	begun := time.Now()
	if p, err = b.startWorker(t, env); err != nil {
		return nil, err
	}
	line, err := p.waitLog(ctx, "journal read")
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	_ = p.end(syscall.SIGKILL)
	after, err := b.firstSentAfter(ctx, t, begun)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, p.logs())
	}
	count, _ := line["records"].(float64)
	took, _ := line["took"].(float64) // milliseconds
	return figures{records: count, read: count / took * 1000, next: after.Seconds()}, nil
}

// pin puts a request into each partition that backs off for long; number i
// distinguishes it from others.
func (b *bench) pin(ctx context.Context, t topics, i int) error {
	for partition := range int32(manyPartitions) {
		_, value := request(i+int(partition), func(int) hint {
			return hint{"scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "120000"}
		})
		r := &kgo.Record{Topic: t.requests, Partition: partition, Value: value}
		if err := b.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return fmt.Errorf("produce: %w", err)
		}
	}
	return nil
}

// firstSentAfter returns how long it took from begun to the next sent event.
func (b *bench) firstSentAfter(ctx context.Context, t topics, begun time.Time) (time.Duration, error) {
	end, err := b.count(ctx, t.status)
	if err != nil {
		return 0, err
	}
	times, err := b.sentTimes(ctx, t.status, end)
	if err != nil {
		return 0, err
	}
	i, _ := slices.BinarySearchFunc(times, begun, time.Time.Compare)
	if i == len(times) {
		return 0, errors.New("nothing was delivered after the restart")
	}
	return times[i].Sub(begun), nil
}
