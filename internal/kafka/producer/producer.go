// Package producer writes records to Kafka without waiting and tells later,
// record by record, that all in-sync replicas have them.
package producer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/fifo"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
)

// ErrTooLarge is the answer to a record that Kafka refuses as too large even
// when it is sent alone. Only topics of Options.GiveUpTooLarge answer so.
var ErrTooLarge = errors.New("record too large for its topic")

// ErrClosed is the answer to a record that was not acknowledged before Close.
var ErrClosed = errors.New("producer closed")

// linger is how long a record waits for others to fill its batch. It does not
// where one caller alone waits for an acknowledgement, or with others who have
// waited longer than that: nobody is there to bring some. Nor does it once a
// crowd waits, whose records fill batches enough. It must stay well below the
// time that attempts are published ahead of their calls.
const (
	linger = 8 * time.Millisecond
	crowd  = 512
)

// soloMaxBytes bounds a record that travels alone: just below the largest
// request that a broker accepts by default (socket.request.max.bytes).
const soloMaxBytes = 96 << 20

// Options of a Producer. Kafka is required.
type Options struct {
	Kafka kafka.Options

	// ByPartition names the topics whose records go to the partition that
	// they preset, modulo the topic's count, and there stand in the order of
	// Produce. Elsewhere the key decides, as for Java clients (murmur2), and
	// a refused record may be written after later ones.
	ByPartition []string

	// GiveUpTooLarge names the topics whose records may be refused as too
	// large for good. Elsewhere such a record is tried until it fits.
	GiveUpTooLarge []string

	// OnAck, where it is not nil, is called for each record once it is
	// acknowledged, with its partition and offset set. It must not block.
	OnAck func(*kgo.Record)

	Log zerolog.Logger
}

// Producer is an idempotent producer that retries without end: what Kafka
// refuses is sent again, alone and in order, until it is accepted.
type Producer struct {
	client       *kgo.Client // fills batches
	solo         *kgo.Client // sends refused records one by one
	options      Options
	late         time.Duration // how long a record may wait before Refused tells of it
	partitions   partitions
	refusalCount atomic.Int64 // of records of ordered partitions, by the client that fills batches
	waiters      atomic.Int64 // calls of Ack.Wait
	lastWait     atomic.Int64 // since when the record of the last of them is on its way, in nanoseconds since 1970
	why          *refusalReasons
	refusals     kafka.ErrorLog // by topic: why Kafka refuses what its retry queue sends

	mu          sync.Mutex
	retryQueues map[string]*fifo.Queue[*Ack] // by topic, while there is something in it
	life        *lifetime.Lifetime           // Close cuts it, under mu
	wg          sync.WaitGroup               // retryAll and watch
}

// New makes a producer. It does not connect: an absent broker is no error.
func New(o Options) (*Producer, error) { return newProducer(o, lateAfter, linger) }

// newProducer is New with its times: records that wait for as long as late are
// reported by Refused.
func newProducer(o Options, late, linger time.Duration) (*Producer, error) {
	opts, err := o.Kafka.Client(o.Log)
	if err != nil {
		return nil, err
	}
	compress, err := compression(o.Kafka)
	if err != nil {
		return nil, err
	}
	opts = append(
		opts,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		compress,
		kgo.ProducerLinger(linger),
		kgo.RecordPartitioner(partitioner{o.ByPartition, kgo.StickyKeyPartitioner(nil)}),
		// A missing topic may still appear; an outage has no end we know of.
		kgo.UnknownTopicRetries(-1),
		// The consumer's pending bounds limit what can be buffered here; a
		// second bound would only stop goroutines in the middle of an event.
		kgo.MaxBufferedRecords(math.MaxInt),
	)
	p := &Producer{
		options: o, late: late,
		partitions:  partitions{all: map[topicPartition]*partition{}},
		why:         &refusalReasons{Logger: kafka.Logger(o.Log), of: map[string]string{}},
		retryQueues: map[string]*fifo.Queue[*Ack]{}, life: lifetime.New(context.Background()),
	}
	opts = append(opts, kgo.WithLogger(p.why))
	if o.OnAck == nil {
		p.options.OnAck = func(*kgo.Record) {}
	}
	solo := []kgo.Opt{kgo.ProducerLinger(0), kgo.ProducerBatchMaxBytes(soloMaxBytes)}
	if p.solo, err = kgo.NewClient(slices.Concat(opts, solo)...); err != nil {
		return nil, fmt.Errorf("make producer: %w", err)
	}
	limits := &batchLimits{client: p.solo, log: o.Log, known: map[string]int32{}}
	full := []kgo.Opt{kgo.ProducerBatchMaxBytesFn(limits.of), kgo.WithHooks(o.Kafka.Hooks...)}
	if p.client, err = kgo.NewClient(slices.Concat(opts, full)...); err != nil {
		p.solo.Close()
		return nil, fmt.Errorf("make producer: %w", err)
	}
	p.wg.Go(p.watch)
	return p, nil
}

// partitioner is by preset partition for its topics and by key elsewhere.
type partitioner struct {
	topics []string
	byKey  kgo.Partitioner
}

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if slices.Contains(p.topics, topic) {
		return kgo.BasicConsistentPartitioner(func(string) func(*kgo.Record, int) int {
			return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
		}).ForTopic(topic)
	}
	return p.byKey.ForTopic(topic)
}

// Client returns the client that fills batches, for metadata questions.
func (p *Producer) Client() *kgo.Client { return p.client }

// Produce hands r to Kafka and returns at once. In a topic of ByPartition,
// records of one partition and key are written in the order of their Produce
// calls. The caller must not change what r holds.
func (p *Producer) Produce(r kgo.Record) *Ack {
	a := &Ack{record: r, partition: p.partitions.of(p, r.Topic, r.Partition)}
	a.partition.produce(a)
	return a
}

// writeNow has the client write what it has buffered, without waiting for it.
func (p *Producer) writeNow() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.client.Flush(ended) // it ends the lingering, and then its wait
}

// Flush waits until everything handed over was acknowledged, or for ctx.
func (p *Producer) Flush(ctx context.Context) error {
	for {
		if err := p.client.Flush(ctx); err != nil {
			return fmt.Errorf("flush producer: %w", err)
		}
		a := p.partitions.oldest() // held back, or refused and tried again
		if a == nil {
			return nil
		}
		if err := a.Wait(ctx); err != nil && ctx.Err() != nil {
			return fmt.Errorf("flush producer: %w", err)
		}
	}
}

// FlushPartition waits until what was handed over for one partition, as the
// caller names it, was acknowledged. Its error is ErrClosed, or the cause of
// ctx's end. What is handed over meanwhile is not waited for: that may go on
// without an end.
func (p *Producer) FlushPartition(ctx context.Context, topic string, number int32) error {
	t, called := p.partitions.of(p, topic, number), time.Now()
	for a := t.oldest(); a != nil && !a.since.After(called); a = t.oldest() {
		if err := a.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops at once. Records not acknowledged by then answer ErrClosed and
// may or may not be in Kafka: Flush first.
func (p *Producer) Close() {
	p.mu.Lock()
	p.life.Cut(ErrClosed)
	p.mu.Unlock()
	p.partitions.close()
	p.client.Close()
	p.solo.Close()
	p.wg.Wait()
}
