package load

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/ops"
)

const (
	// bufferBytes is what may wait in the client, as in the Java producer.
	bufferBytes = 32 << 20
	// stopGrace is how long an interrupted run waits for what it handed over.
	stopGrace = 5 * time.Second
)

// producer writes the requests of one run.
type producer struct {
	o        Options
	run      runID
	template template
	client   *kgo.Client
	topic    string
	await    *await // nil where nothing is awaited

	slots  sync.Pool
	acked  atomic.Uint64
	failed atomic.Uint64
	cause  atomic.Pointer[error] // of the first failure
	over   atomic.Bool           // nothing more is produced

	mu      sync.Mutex
	latency histogram

	begun time.Time
	took  time.Duration
}

func newProducer(ctx context.Context, c *config.Config, o Options, run runID, t template) (*producer, error) {
	conf := *c
	conf.Kafka.Compression = o.Compression
	opts := []kgo.Opt{
		kgo.ProducerBatchMaxBytes(int32(o.BatchBytes)), //nolint:gosec // the caller bounds it
		kgo.ProducerLinger(o.Linger),
		kgo.AllowIdempotentProduceCancellation(), // of an interrupted run
		kgo.MaxBufferedRecords(bufferBytes / len(t.value)),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(min(o.BatchBytes, 64<<10), true, true, nil)),
	}
	switch o.Acks {
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	}
	if o.Acks != "all" {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
	}
	client, err := ops.Connect(ctx, &conf, opts...)
	if err != nil {
		return nil, err
	}
	p := &producer{o: o, run: run, template: t, client: client, topic: c.Kafka.RequestTopic}
	p.slots.New = p.newSlot
	return p, nil
}

// slot is the memory of one message on its way. It is used again once the
// client has let go of it.
type slot struct {
	value  []byte
	record kgo.Record
	number uint64
	begun  time.Time
	done   func(*kgo.Record, error)
}

func (p *producer) newSlot() any {
	s := &slot{value: bytes.Clone(p.template.value)}
	s.done = func(_ *kgo.Record, err error) { p.finish(s, err) }
	return s
}

func (p *producer) finish(s *slot, err error) {
	defer p.slots.Put(s)
	if err != nil {
		p.failed.Add(1)
		p.cause.CompareAndSwap(nil, &err)
		return
	}
	took := time.Since(s.begun)
	p.mu.Lock()
	p.latency.add(took)
	p.mu.Unlock()
	if p.await != nil {
		p.await.acked(s.number)
	}
	p.acked.Add(1)
}

// produce writes all messages and waits for their acknowledgements. The end of
// ctx is no error. The first record that Kafka refuses ends it.
func (p *producer) produce(ctx context.Context) error {
	// What was handed over is given time after an interruption.
	flushing, cancel := ops.WithGrace(ctx, stopGrace)
	defer cancel()
	p.begun = time.Now()
	p.write(ctx, flushing)
	flushed := p.client.Flush(flushing)
	p.took = time.Since(p.begun)
	p.over.Store(true)
	cause := p.cause.Load()
	switch {
	case ctx.Err() != nil:
		return nil // the report says that it was interrupted
	case cause != nil:
		return fmt.Errorf("%d requests were not acknowledged by %s: %w", p.failed.Load(), p.topic, *cause)
	case flushed != nil:
		return fmt.Errorf("wait for acknowledgements: %w", flushed)
	}
	return nil
}

// write hands over messages until there are enough of them.
func (p *producer) write(ctx, flushing context.Context) {
	stamp := p.begun
	created := stamp.UTC().AppendFormat(nil, timeLayout)
	for n := uint64(0); p.o.Messages == 0 || n < p.o.Messages; n++ {
		if p.cause.Load() != nil || ctx.Err() != nil || !p.waitUntilDue(ctx, n) {
			return
		}
		now := time.Now()
		if p.o.Duration > 0 && now.Sub(p.begun) >= p.o.Duration {
			return
		}
		if now.Sub(stamp) >= time.Millisecond {
			stamp = now
			created = now.UTC().AppendFormat(created[:0], timeLayout)
		}
		p.enqueue(flushing, n, now, created)
	}
}

// enqueue gives message n to the client. It waits while the client's memory is
// full.
func (p *producer) enqueue(ctx context.Context, n uint64, now time.Time, created []byte) {
	s, _ := p.slots.Get().(*slot)
	s.number, s.begun = n, now
	id := s.value[p.template.id:][:idLen]
	p.run.put(id, n)
	copy(s.value[p.template.time:], created)
	s.record = kgo.Record{Topic: p.topic, Value: s.value, Timestamp: now}
	if !p.o.NoKeys {
		s.record.Key = id
	}
	p.client.Produce(ctx, &s.record, s.done)
}

// waitUntilDue waits until message n is due and reports whether ctx let it.
func (p *producer) waitUntilDue(ctx context.Context, n uint64) bool {
	if p.o.Rate == 0 {
		return true
	}
	due := p.begun.Add(time.Duration(float64(n) / p.o.Rate * float64(time.Second)))
	wait := time.Until(due)
	return wait < time.Millisecond || lifetime.Sleep(ctx, wait) == nil // a timer is no finer
}

func (p *producer) report(ctx context.Context, c *config.Config) *Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.acked.Load()
	r := &Report{
		Channel: c.Channel, Topic: p.topic, Run: p.run.prefix, Messages: n, MessageSize: len(p.template.value),
		Seconds: p.took.Seconds(), Latency: p.latency.sum(), Failed: p.failed.Load(), Interrupted: ctx.Err() != nil,
	}
	if r.Seconds > 0 {
		r.PerSecond = rounded(float64(n) / r.Seconds)
		r.MiBPerSec = rounded(r.PerSecond * float64(r.MessageSize) / (1 << 20))
	}
	r.Seconds = rounded(r.Seconds)
	return r
}

// rounded leaves three decimals: the measurement is no finer.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }
