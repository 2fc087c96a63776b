package journal

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// lookBack is how far before the committed request its events may be stamped:
// the clocks of producers and brokers need not agree.
const lookBack = time.Hour

// Reader reads the journal of one request topic.
type Reader struct {
	Client      []kgo.Opt // how to reach the brokers
	Requests    string
	StatusTopic string
	Patience    time.Duration // how long a reading may come no further
}

// Want asks for the journal of one request partition.
type Want struct {
	Partition int32
	Committed int64  // where requests go on; -1 where nothing was ever committed
	Metadata  string // of the commit
	Group     bool   // the commit is what the group has, and no position that we chose
}

// Found is the journal of one request partition.
type Found struct {
	Start       int64       // where requests go on: Committed, or the log's start
	Fold        *Fold       // of the requests from Start on
	Checkpoints Checkpoints // what the commit says beyond the events
	From        Position    // where reading began

	// Foreign says that the group has a commit that no worker made: what was
	// done up to it is not known from it.
	Foreign bool

	// Of a Foreign one: where the log of requests starts, and the highest
	// request that an event tells of among the last thousand or more of the
	// status partition, or -1.
	LogStart, Handled int64

	// Before is the position in another partition that the commit named, from
	// when the status topic had fewer; nil where there is none. Commits must
	// go on to name it until they have passed all requests in the Fold.
	Before *Position
}

// Read reads the journals of partitions that were just assigned: everything
// that was in the status topic when it was asked. It does not retry. It may
// take as long as the journal is; an error ends it when nothing arrives for
// Patience.
func (r *Reader) Read(ctx context.Context, wants []Want) (map[int32]Found, int, error) {
	client, err := kgo.NewClient(append(r.Client, kgo.KeepControlRecords(), kgo.FetchMaxWait(100*time.Millisecond))...)
	if err != nil {
		return nil, 0, fmt.Errorf("read journal: %w", err)
	}
	defer client.Close()
	p := &plan{Reader: r, client: client, admin: kadm.NewClient(client), spans: map[int32]*span{}, found: map[int32]Found{}}
	if err = p.make(ctx, wants); err == nil {
		err = p.read(ctx)
	}
	if err != nil {
		return nil, p.records, fmt.Errorf("read journal: %w", err)
	}
	return p.found, p.records, nil
}

// patiently runs one step within Patience.
func (r *Reader) patiently(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.Patience, fmt.Errorf("no progress for %v", r.Patience))
	defer cancel()
	return step(ctx)
}

// span is what is to be read of one status partition.
type span struct{ from, end int64 }

// plan is one reading.
type plan struct {
	*Reader

	client *kgo.Client
	admin  *kadm.Client
	status kadm.TopicDetail
	starts kadm.ListedOffsets // of both topics
	ends   kadm.ListedOffsets
	spans  map[int32]*span // by status partition
	found  map[int32]Found // by request partition

	records int // that were read
	left    int // spans that have not come to their end
}

// add widens what is to be read of a status partition.
func (p *plan) add(partition int32, from, end int64) {
	if s, ok := p.spans[partition]; ok {
		s.from = min(s.from, from)
		return
	}
	p.spans[partition] = &span{from, end}
}

// read fetches all spans to their ends and folds what belongs to the wants.
func (p *plan) read(ctx context.Context) error {
	offsets := map[int32]kgo.Offset{}
	for partition, s := range p.spans {
		if s.from < s.end {
			offsets[partition] = kgo.NewOffset().At(s.from)
		}
	}
	p.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{p.StatusTopic: offsets})
	for p.left = len(offsets); p.left > 0; {
		if err := p.patiently(ctx, p.next); err != nil {
			return err
		}
	}
	return nil
}

// next folds the next records to arrive.
func (p *plan) next(ctx context.Context) error {
	fetches := p.client.PollFetches(ctx)
	if ctx.Err() != nil && fetches.NumRecords() == 0 {
		return context.Cause(ctx)
	}
	for _, failed := range fetches.Errors() {
		return fmt.Errorf("fetch %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
	}
	fetches.EachPartition(p.take)
	return nil
}

// take folds what was fetched of one partition.
func (p *plan) take(fetched kgo.FetchTopicPartition) {
	s := p.spans[fetched.Partition]
	if s.from >= s.end {
		return
	}
	for _, rec := range fetched.Records {
		if rec.Offset >= s.end {
			break
		}
		p.records++
		p.fold(rec)
	}
	if k := len(fetched.Records); k > 0 {
		s.from = fetched.Records[k-1].Offset + 1
	}
	if s.from >= s.end {
		p.left--
	}
}

// fold takes one record of the status topic where it is an event of a request
// that is asked for. Anything else there is skipped: null values, records
// without our headers, other topics' events, what is not JSON.
func (p *plan) fold(rec *kgo.Record) {
	source, ok := models.SourceOf(rec.Headers)
	if !ok || source.Topic != p.Requests {
		return
	}
	found, asked := p.found[source.Partition]
	if !asked {
		return
	}
	if found.Foreign && source.Offset > found.Handled {
		found.Handled = source.Offset
		p.found[source.Partition] = found
	}
	if source.Offset < found.Start {
		return
	}
	if ev, err := models.DecodeStep(rec.Value, rec.Headers); err == nil {
		found.Fold.Add(Key{source.Offset, source.Timestamp}, &ev)
	}
}
