package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// stopped measures memory behind a provider that never answers.
func stopped(ctx context.Context, b *bench, t topics) (figures, error) {
	if err := b.fill(ctx, t.requests, max(int(1_000_000*b.scale), 20_000), nil); err != nil {
		return nil, err
	}
	p, err := b.startWorker(t, map[string]string{
		"MOCK_LATENCY_SECONDS": "3600", "PROVIDER_TIMEOUT_SECONDS": "3600", "SHUTDOWN_TIMEOUT_SECONDS": "1", "WORKER_CONCURRENCY": "100",
	})
	if err != nil {
		return nil, err
	}
	f, err := b.growth(ctx, p, 20*time.Second) // the pending bound is long reached
	_ = p.end(syscall.SIGKILL)
	return f, err
}

// growth measures the memory of a process for a minute, after a warm-up.
func (b *bench) growth(ctx context.Context, p *process, warmUp time.Duration) (figures, error) {
	if err := wait(ctx, warmUp); err != nil {
		return nil, err
	}
	first := p.last()
	if err := wait(ctx, time.Duration(60*min(1, b.scale))*time.Second+time.Second); err != nil {
		return nil, err
	}
	last := p.last()
	return figures{
		memory: mib(p.peak()),
		growth: (mib(last.rss) - mib(first.rss)) / last.at.Sub(first.at).Minutes(),
	}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// atRest measures single messages on an idle worker.
func atRest(ctx context.Context, b *bench, t topics) (figures, error) {
	p, err := b.startWorker(t, map[string]string{"WORKER_CONCURRENCY": "100"})
	if err != nil {
		return nil, err
	}
	if _, err := p.waitLog(ctx, "ready"); err != nil {
		return nil, err
	}
	n := max(int(200*b.scale), 20)
	asked := map[string]time.Time{}
	for i := range n {
		id, value := request(i, nil)
		r := &kgo.Record{Topic: t.requests, Key: []byte(id), Value: value}
		if err := b.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return nil, fmt.Errorf("produce: %w", err)
		}
		asked[id] = r.Timestamp
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := b.waitRecords(ctx, t.status, 3*n); err != nil {
		return nil, err
	}
	latencies, err := b.latencies(ctx, t.status, 3*n, asked)
	if err != nil {
		return nil, err
	}
	slices.Sort(latencies)
	at := func(q float64) float64 {
		return float64(latencies[int(q*float64(len(latencies)-1))].Microseconds()) / 1000
	}
	return figures{median: at(0.5), most: at(0.99)}, p.end(syscall.SIGTERM)
}
