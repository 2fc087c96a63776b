package follow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// Why a topic is read again from its beginning.
var (
	errCreatedAgain = errors.New("it was created again")
	errPartitions   = errors.New("its number of partitions has changed")
	errCut          = errors.New("records were removed from it")
)

// askTimeout is how long the brokers may take to say where the topic ends.
const askTimeout = 3 * time.Second

// reading is one reading of the topic, from its beginning on.
type reading struct {
	*Follower

	client *kgo.Client
	begun  extent

	mu       sync.Mutex // held while the table is given anything
	next     map[int32]int64
	ends     map[int32]int64
	asked    time.Time // when Kafka was asked for the ends
	reached  time.Time // the last asked whose ends were reached
	complete bool
}

// extent is where a topic's partitions begin and end for who reads what is
// committed: behind the end there may be an open transaction.
type extent struct {
	id           kadm.TopicID
	starts, ends map[int32]int64
}

// begin waits until the topic may be read, and begins with it.
func (r *reading) begin(ctx context.Context) error {
	for ctx.Err() == nil {
		asked := time.Now()
		e, err := r.ask(ctx)
		if err == nil {
			r.beginAt(e, asked)
			return nil
		}
		if ctx.Err() == nil {
			r.failed(err)
			_ = lifetime.Sleep(ctx, beginInterval) // ctx is looked at above
		}
	}
	return context.Cause(ctx)
}

func (r *reading) beginAt(e extent, asked time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.ends, r.asked, r.next = e, e.ends, asked, map[int32]int64{}
	r.table.Begin()
	from := map[int32]kgo.Offset{}
	for p, start := range e.starts {
		r.next[p], from[p] = start, kgo.NewOffset().At(start)
	}
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.opts.Topic: from})
	r.check()
}

// ask asks Kafka for the topic. Its error says why it cannot be read.
func (r *reading) ask(ctx context.Context) (e extent, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	topic := r.opts.Topic
	answers, err := kafka.Metadata(ctx, r.client, topic)
	if err != nil || len(answers) != 1 {
		return e, fmt.Errorf("topic %s: brokers do not answer: %w", topic, err)
	}
	if faults := (kafka.Need{Topic: topic, Read: true}).Faults(&answers[0]); len(faults) > 0 {
		return e, errors.Join(faults...)
	}
	admin := kadm.NewClient(r.client)
	starts, err := kafka.Listed(admin.ListStartOffsets(ctx, topic))
	if err != nil {
		return e, fmt.Errorf("ask where topic %s begins: %w", topic, err)
	}
	ends, err := kafka.Listed(admin.ListCommittedOffsets(ctx, topic))
	if err != nil {
		return e, fmt.Errorf("ask where topic %s ends: %w", topic, err)
	}
	e = extent{answers[0].TopicID, map[int32]int64{}, map[int32]int64{}}
	starts.Each(func(o kadm.ListedOffset) { e.starts[o.Partition] = o.Offset })
	ends.Each(func(o kadm.ListedOffset) { e.ends[o.Partition] = o.Offset })
	if n := len(answers[0].Partitions); n == 0 || len(e.starts) != n || len(e.ends) != n {
		return e, fmt.Errorf("topic %s: brokers do not know all of its partitions", topic)
	}
	return e, nil
}

// look asks Kafka again and again where the topic ends, until ctx ends or the
// topic has to be read again. It returns why.
func (r *reading) look(ctx context.Context) error {
	for {
		interval := lookInterval
		if !r.isComplete() {
			interval = unreadInterval
		}
		if err := lifetime.Sleep(ctx, interval); err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
		before, asked := r.position(), time.Now()
		e, err := r.ask(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			if err := r.compare(e, before); err != nil {
				return err
			}
			err = r.reach(ctx, e, asked)
		}
		if err != nil {
			r.failed(err)
		}
	}
}

func (r *reading) isComplete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complete
}

// position returns from where on each partition is not read.
func (r *reading) position() map[int32]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.next)
}

// compare returns why the topic is no longer the one that was read to a
// position, or nil.
func (r *reading) compare(e extent, position map[int32]int64) error {
	if e.id != r.begun.id {
		return errCreatedAgain
	}
	if len(e.starts) != len(r.begun.starts) {
		return errPartitions
	}
	for p, end := range e.ends {
		if e.starts[p] != r.begun.starts[p] || end < position[p] {
			return errCut
		}
	}
	return nil
}

// reach takes where the topic ended when Kafka was asked. What lies before that
// and is handed out to nobody, a client does not tell: markers of transactions,
// what they rolled back, gaps of compaction. So Kafka is asked for it.
func (r *reading) reach(ctx context.Context, e extent, asked time.Time) error {
	r.mu.Lock()
	r.ends, r.asked = e.ends, asked
	behind := map[int32]int64{}
	for p, end := range e.ends {
		if r.next[p] < end {
			behind[p] = r.next[p]
		}
	}
	r.check()
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for p, from := range behind {
		_, next, err := kafka.NextCommitted(ctx, r.client, r.opts.Topic, p, from, e.ends[p])
		if err != nil {
			return err
		}
		r.passed(p, next)
	}
	return nil
}

// passed notes that there is nothing to apply before an offset of a partition.
func (r *reading) passed(partition int32, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next[partition] = max(r.next[partition], next)
	r.check()
}

// check notes where all is applied that was there when Kafka was asked. It is
// called with r.mu held.
func (r *reading) check() {
	for p, end := range r.ends {
		if r.next[p] < end {
			return
		}
	}
	if r.reached.Equal(r.asked) {
		return
	}
	r.reached = r.asked
	if !r.complete {
		r.complete = true
		r.table.Complete()
	}
	r.upToDate(r.asked)
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

// take gives the table the records, until ctx ends or they cannot be read. It
// returns why.
func (r *reading) take(ctx context.Context) error {
	for {
		fetches := r.client.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("fetch %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
		}
		r.apply(fetches)
	}
}

func (r *reading) apply(fetches kgo.Fetches) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fetches.EachRecord(func(rec *kgo.Record) {
		if rec.Offset < r.next[rec.Partition] {
			return
		}
		r.table.Apply(record(rec))
		r.next[rec.Partition] = rec.Offset + 1
	})
	r.check()
}

// record returns a record as those who do not know the client take it.
func record(rec *kgo.Record) *models.Record {
	out := &models.Record{
		Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset,
		Timestamp: rec.Timestamp, Key: rec.Key, Value: rec.Value,
	}
	for _, h := range rec.Headers {
		out.Headers = append(out.Headers, models.Header(h))
	}
	return out
}
