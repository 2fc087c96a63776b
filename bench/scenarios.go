package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// scenario is one thing that is measured.
type scenario struct {
	name, title string
	ideal       float64 // messages a second; 0 where there is none
	run         func(ctx context.Context, b *bench) (figures, error)
}

// figures are what a run came to, by name.
type figures map[string]float64

// The figures' names.
const (
	perSecond  = "messages/s"
	micros     = "CPU µs/message"
	memory     = "MiB resident"
	growth     = "MiB/min growth"
	median     = "ms median"
	most       = "ms 99th percentile"
	read       = "journal records/s"
	records    = "journal records"
	ofSource   = "of smtp-source -d"
	perfTest   = "messages/s of kafka-producer-perf-test"
	ofPerfTest = "of kafka-producer-perf-test"
	next       = "s from start to next delivery"
	logSize    = "bytes of events/message"
)

func (f figures) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		parts = append(parts, fmt.Sprintf("%s %s", number(f[name]), name))
	}
	return strings.Join(parts, ", ")
}

// bound is how long one run may take.
const bound = 10 * time.Minute

func scenarios(other string) []scenario {
	w1 := map[string]string{"WORKER_CONCURRENCY": "100"}
	w2 := map[string]string{"WORKER_CONCURRENCY": "200", "MOCK_LATENCY_SECONDS": "0.05", "BASE_BACKOFF_SECONDS": "2", "MAX_BACKOFF_SECONDS": "2"}
	return []scenario{
		{"raw", "the bare loop, 300,000 messages", 0, backlog(load{messages: 300_000, raw: true})},
		{"W1", "no provider latency, concurrency 100, 300,000 messages", 0, backlog(load{messages: 300_000, env: w1})},
		{"before", "W1 by the build that -against names", 0, backlog(load{messages: 300_000, env: w1, binary: other})},
		{"traces", "W1 with every message traced, to a collector that drops all", 0, traced(load{messages: 300_000, env: w1})},
		{"W2", "50 ms a call, concurrency 200, 40,000 messages", 4000, backlog(load{messages: 40_000, env: w2})},
		{"W3", "as W2, 5 % fail once and back off up to 2 s", 3810, backlog(load{messages: 40_000, env: w2, every: 20, extra: 2, hints: hint{"scenario", "transient", "scenario_failures", "1"}})},
		{"W4", "as W2, 0.1 % of the calls take 10 s", 3336, backlog(load{messages: 40_000, env: w2, every: 1000, hints: hint{"scenario_latency_ms", "10000"}})},
		{"W5", "a backlog of 1,000,000 and a provider that never answers", 0, stopped},
		{"rest", "one message at rest, record timestamp to sent", 0, atRest},
		{"grow-1", "W1 on 1 partition", 0, backlog(load{messages: 200_000, env: w1, partitions: 1})},
		{"grow-3", "W1 on 3 partitions", 0, backlog(load{messages: 200_000, env: w1, partitions: 3})},
		{"grow-12", "W1 on 12 partitions", 0, backlog(load{messages: 200_000, env: w1})},
		{"grow-2x", "W1 on 12 partitions, two workers", 0, backlog(load{messages: 200_000, env: w1, workers: 2})},
		{"events-none", "W1 with KAFKA_COMPRESSION=none", 0, compressed(load{messages: 300_000, env: w1}, "none")},
		{"events-gzip", "the same with gzip", 0, compressed(load{messages: 300_000, env: w1}, "gzip")},
		{"events-snappy", "the same with snappy", 0, compressed(load{messages: 300_000, env: w1}, "snappy")},
		{"events-lz4", "the same with lz4", 0, compressed(load{messages: 300_000, env: w1}, "lz4")},
		{"events-zstd", "the same with zstd", 0, compressed(load{messages: 300_000, env: w1}, "zstd")},
		{"twilio", "as W2, over HTTP to a fake Twilio", 4000, overHTTP(load{messages: 40_000, env: w2})},
		{"faults", "a fake Twilio that floods, hangs, lies and cuts in turn, concurrency 200", 0, misbehaving},
		{"mail", "email, Kafka to SMTP, 50 connections, 50,000 messages of 1 KiB", 0, mail},
		{"load", "msgctl load, 3,000,000 requests of 300 bytes, acks=all, batches of 16 KiB, no keys", 0, againstPerfTest(produceLoad{messages: 3_000_000, size: 300, batchBytes: 16384, lingerMS: 5, acks: "all", keys: "none", compression: "none"})},
		{"load-keys", "the same by message id", 0, againstPerfTest(produceLoad{messages: 3_000_000, size: 300, batchBytes: 16384, lingerMS: 5, acks: "all", keys: "message-id", compression: "none"})},
		{"crash", "kill -9 behind a 120 s backoff at 4,000 messages/s for 30 s, same instance id", 0, crash},
	}
}

// load is a backlog that workers finish.
type load struct {
	messages   int
	env        map[string]string
	partitions int32 // zero means 12
	workers    int   // zero means 1
	raw        bool
	binary     string // of the worker; empty means the present build
	every      int    // each of how many messages has the hints
	hints      hint
	extra      int  // further events of such a message
	sized      bool // also tells how large the status topic is
}

// compressed measures a load whose events are compressed by codec.
func compressed(l load, codec string) func(context.Context, *bench) (figures, error) {
	l.env, l.sized = maps.Clone(l.env), true
	l.env["KAFKA_COMPRESSION"] = codec
	return backlog(l)
}

// backlog measures how a load is finished.
func backlog(l load) func(context.Context, *bench) (figures, error) {
	return func(ctx context.Context, b *bench) (figures, error) {
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		t, err := b.newTopics(ctx, max(l.partitions, 1)+11*boolToInt(l.partitions == 0))
		if err != nil {
			return nil, err
		}
		defer b.drop(t)
		n := max(int(float64(l.messages)*b.scale), 100)
		events := 3 * n
		if l.every > 0 {
			events += (n + l.every - 1) / l.every * l.extra
		}
		if err := b.fill(ctx, t.requests, n, l.hintsOf); err != nil {
			return nil, err
		}
		var ps []*process
		for range max(l.workers, 1) {
			p, err := b.startOne(t, l)
			if err != nil {
				return nil, err
			}
			ps = append(ps, p)
		}
		waited := b.waitRecords(ctx, t.status, events)
		for _, p := range ps {
			if err := p.end(syscall.SIGTERM); err != nil {
				return nil, err
			}
		}
		if waited != nil {
			return nil, waited
		}
		times, err := b.sentTimes(ctx, t.status, events)
		if err != nil {
			return nil, err
		}
		s := between(times)
		f := figures{perSecond: s.rate(), micros: s.cost(ps...)}
		for _, p := range ps {
			f[memory] = max(f[memory], mib(p.peak()))
		}
		if l.sized {
			bytes, err := b.logSize(ctx, t.status)
			if err != nil {
				return nil, err
			}
			f[logSize] = float64(bytes) / float64(n)
		}
		return f, nil
	}
}

func boolToInt(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

func (l load) hintsOf(i int) hint {
	if l.every > 0 && i%l.every == 0 {
		return l.hints
	}
	return nil
}

func (b *bench) startOne(t topics, l load) (*process, error) {
	if l.raw {
		return b.startRaw(t)
	}
	return b.startWorker(t, l.env, l.binary)
}

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

// stopped measures memory behind a provider that never answers.
func stopped(ctx context.Context, b *bench) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	t, err := b.newTopics(ctx, 12)
	if err != nil {
		return nil, err
	}
	defer b.drop(t)
	if err := b.fill(ctx, t.requests, max(int(1_000_000*b.scale), 20_000), nil); err != nil {
		return nil, err
	}
	p, err := b.startWorker(t, map[string]string{
		"MOCK_LATENCY_SECONDS": "3600", "PROVIDER_TIMEOUT_SECONDS": "3600", "SHUTDOWN_TIMEOUT_SECONDS": "1", "WORKER_CONCURRENCY": "100",
	})
	if err != nil {
		return nil, err
	}
	if err := wait(ctx, 20*time.Second); err != nil { // the pending bound is long reached
		return nil, err
	}
	begin := len(p.samples)
	if err := wait(ctx, time.Duration(60*min(1, b.scale))*time.Second+time.Second); err != nil {
		return nil, err
	}
	_ = p.end(syscall.SIGKILL)
	first, last := p.samples[begin], p.samples[len(p.samples)-1]
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
func atRest(ctx context.Context, b *bench) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	t, err := b.newTopics(ctx, 12)
	if err != nil {
		return nil, err
	}
	defer b.drop(t)
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

// crash kills a worker whose partitions are pinned by long backoffs, and
// measures its successor.
func crash(ctx context.Context, b *bench) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	const partitions = 12
	t, err := b.newTopics(ctx, partitions)
	if err != nil {
		return nil, err
	}
	defer b.drop(t)
	n := max(int(120_000*b.scale), 2000)
	for partition := range int32(partitions) {
		_, value := request(n+int(partition), func(int) hint {
			return hint{"scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "120000"}
		})
		r := &kgo.Record{Topic: t.requests, Partition: partition, Value: value}
		if err := b.client.ProduceSync(ctx, r).FirstErr(); err != nil {
			return nil, fmt.Errorf("produce: %w", err)
		}
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
	end, err := b.count(ctx, t.status)
	if err != nil {
		return nil, err
	}
	times, err := b.sentTimes(ctx, t.status, end)
	if err != nil {
		return nil, err
	}
	i, _ := slices.BinarySearchFunc(times, begun, time.Time.Compare)
	if i == len(times) {
		return nil, fmt.Errorf("nothing was delivered after the restart: %s", p.logs())
	}
	count, _ := line["records"].(float64)
	took, _ := line["took"].(float64) // milliseconds
	return figures{records: count, read: count / took * 1000, next: times[i].Sub(begun).Seconds()}, nil
}

// number writes a figure with as many digits as it deserves.
func number(x float64) string {
	switch {
	case x >= 1000 || x <= -1000:
		text := strconv.FormatFloat(x, 'f', 0, 64)
		for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}
