// Package publisher writes status events and dead letters: model to JSON, to
// topic, partition and headers. It is the only place that knows their topics.
package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/producer"
	"messaging-worker/internal/models"
)

// Options of a Publisher. All but DeadLetters and Log are required.
type Options struct {
	Kafka kafka.Options

	// DeadLetters, where it is not nil, is how dead letters reach Kafka, apart
	// from status events. They may be a thousand times as large, and a client
	// that has many of them on their way keeps events waiting, also those of
	// lanes in which nothing fails.
	DeadLetters *kafka.Options

	StatusTopic string
	DLQTopic    string
	Host        string // with Kafka.ClientID it makes the worker header
	Log         zerolog.Logger
}

// Publisher writes the lifecycle of requests. It is safe for concurrent use.
type Publisher struct {
	options  Options
	producer *producer.Producer
	letters  *producer.Producer // of dead letters, where they go apart; else the same
	worker   []byte
	logged   kafka.ErrorLog

	mu    sync.Mutex
	acked []int64 // by status partition: the highest acknowledged offset, plus one
}

// New makes a publisher. It does not connect: an absent broker is no error.
func New(o Options) (*Publisher, error) {
	p := &Publisher{options: o, worker: []byte(o.Kafka.ClientID + "@" + o.Host)}
	writes := producer.Options{
		Kafka: o.Kafka, Log: o.Log,
		ByPartition:    []string{o.StatusTopic},
		GiveUpTooLarge: []string{o.DLQTopic},
		OnAck: func(r *kgo.Record) {
			if r.Topic == o.StatusTopic {
				p.raise(r.Partition, r.Offset)
			}
		},
	}
	var err error
	if p.producer, err = producer.New(writes); err != nil {
		return nil, fmt.Errorf("make publisher: %w", err)
	}
	p.letters = p.producer
	if o.DeadLetters != nil {
		writes.Kafka = *o.DeadLetters
		if p.letters, err = producer.New(writes); err != nil {
			p.producer.Close()
			return nil, fmt.Errorf("make publisher of dead letters: %w", err)
		}
	}
	return p, nil
}

// producers returns those that there are.
func (p *Publisher) producers() []*producer.Producer {
	if p.letters == p.producer {
		return []*producer.Producer{p.producer}
	}
	return []*producer.Producer{p.producer, p.letters}
}

// MissingTopics returns which of the publisher's topics and the topics of
// requests cannot be used, each with the reason. Journal says that the status
// topic is read too. The error means that the brokers did not answer.
func (p *Publisher) MissingTopics(ctx context.Context, requests []string, journal bool) ([]error, error) {
	var needs []kafka.Need
	for _, topic := range requests {
		needs = append(needs, kafka.Need{Topic: topic, Read: true})
	}
	needs = append(
		needs, kafka.Need{Topic: p.options.StatusTopic, Read: journal, Write: true}, kafka.Need{Topic: p.options.DLQTopic, Write: true},
	)
	return kafka.MissingTopics(ctx, p.producer.Client(), needs...)
}

// JournalFaults says what keeps the status topic from being the journal of the
// request topic. The error means that the brokers do not tell.
func (p *Publisher) JournalFaults(ctx context.Context, requests string) ([]string, error) {
	return kafka.JournalFaults(ctx, p.producer.Client(), requests, p.options.StatusTopic)
}

// Refused returns why Kafka does not take what was published, or takes too long,
// or nil while it takes everything in time.
func (p *Publisher) Refused() error {
	var refused error
	for _, one := range p.producers() {
		refused = errors.Join(refused, one.Refused())
	}
	return refused
}

// Acked returns the highest offset of a status partition that this publisher
// knows to be written, or -1 where it has written nothing there yet.
func (p *Publisher) Acked(partition int32) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int(partition) < len(p.acked) {
		return p.acked[partition] - 1
	}
	return -1
}

func (p *Publisher) raise(partition int32, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for int(partition) >= len(p.acked) {
		p.acked = append(p.acked, 0)
	}
	p.acked[partition] = max(p.acked[partition], offset+1)
}

// Flush waits until all that was published is acknowledged, or for ctx.
func (p *Publisher) Flush(ctx context.Context) error {
	for _, one := range p.producers() {
		if err := one.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close stops at once; Flush first.
func (p *Publisher) Close() {
	for _, one := range p.producers() {
		one.Close()
	}
}

// Ack is the promise that a record will be in Kafka. Wait returns nil once all
// in-sync replicas have it; its error means only that ctx or the publisher has
// ended.
type Ack = interface {
	Wait(ctx context.Context) error
}

// Status hands ev over to Kafka without waiting, to the partition with the
// number of src's own (modulo), so that the events of one message stay in the
// order of the calls.
func (p *Publisher) Status(_ context.Context, src *models.Record, ev *models.StatusEvent) Ack {
	value, err := ev.Encode()
	if err != nil { // only a time beyond year 9999 could do this
		return unwritable{err}
	}
	r := p.record(p.options.StatusTopic, src, ev.MessageID, ev.TenantID, value)
	r.Partition, r.Timestamp = src.Partition, ev.Timestamp
	if ev.EventType == models.EventAttempt && ev.Run > 1 {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: models.HeaderAttemptRun, Value: strconv.AppendInt(nil, int64(ev.Run), 10)})
	}
	return p.producer.Produce(r)
}

// FlushPartition waits until the events that Status was given of a request
// partition are written, so that whoever reads the journal now finds them.
func (p *Publisher) FlushPartition(ctx context.Context, partition int32) error {
	return p.producer.FlushPartition(ctx, p.options.StatusTopic, partition) //nolint:wrapcheck // the cause of ctx's end
}

// unwritable is the answer to an event that has no wire form.
type unwritable struct{ err error }

// Wait returns why.
func (u unwritable) Wait(context.Context) error { return u.err }
