// Package scan reads a topic up to its present end, much faster than a consumer
// where few of the records are wanted. It reads committed records: those of
// aborted transactions are left out, and a partition ends where the first open
// transaction begins.
package scan

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/ops/fault"
)

// Topic is a topic to read. It is safe for concurrent use.
type Topic struct {
	Name string

	client *kgo.Client
	admin  *kadm.Client

	mu     sync.Mutex
	detail kadm.TopicDetail
}

// Span is a part of one partition: the offsets from From to before To.
type Span struct {
	Partition int32
	From, To  int64
}

// Open asks the brokers for a topic. The error of one that does not exist
// is a fault.NoTopic.
func Open(ctx context.Context, client *kgo.Client, name string) (*Topic, error) {
	t := &Topic{Name: name, client: client, admin: kadm.NewClient(client)}
	return t, t.refresh(ctx)
}

// refresh learns who leads the partitions.
func (t *Topic) refresh(ctx context.Context) error {
	meta, err := t.admin.Metadata(ctx, t.Name)
	if err != nil {
		return fmt.Errorf("ask for topic %s: %w", t.Name, err)
	}
	detail := meta.Topics[t.Name]
	switch {
	case errors.Is(detail.Err, kerr.UnknownTopicOrPartition) || detail.Err == nil && len(detail.Partitions) == 0:
		return fault.New(fault.NoTopic, "topic %s does not exist", t.Name)
	case detail.Err != nil:
		return fmt.Errorf("topic %s: %w", t.Name, detail.Err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.detail = detail
	return nil
}

func (t *Topic) leader(partition int32) (int, kadm.TopicID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int(t.detail.Partitions[partition].Leader), t.detail.ID
}

// Partitions returns how many partitions the topic has.
func (t *Topic) Partitions() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.detail.Partitions)
}

// Spans returns what the partitions hold now, from the first record of since
// on, or from their start where since is zero or not after 1970. No partitions
// means all. A partition that holds nothing has no span.
func (t *Topic) Spans(ctx context.Context, since time.Time, partitions ...int32) ([]Span, error) {
	starts, err := t.starts(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("ask for the start of %s: %w", t.Name, err)
	}
	ends, err := t.Ends(ctx)
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		from, ok := starts.Lookup(t.Name, p)
		wanted := len(partitions) == 0 || slices.Contains(partitions, p)
		if wanted && ok && from.Offset >= 0 && from.Offset < ends[p] {
			spans = append(spans, Span{p, from.Offset, ends[p]})
		}
	}
	return spans, nil
}

func (t *Topic) starts(ctx context.Context, since time.Time) (kadm.ListedOffsets, error) {
	// Times below zero have a meaning of their own in a ListOffsets request
	// (KIP-79: -1 the latest offset, -2 the earliest), and from zero on Kafka
	// passes over records that have no time.
	if since.After(time.UnixMilli(0)) {
		return kafka.Listed(t.admin.ListOffsetsAfterMilli(ctx, since.UnixMilli(), t.Name))
	}
	return kafka.Listed(t.admin.ListStartOffsets(ctx, t.Name))
}

// Ends returns where the partitions end now: at their last stable offsets.
func (t *Topic) Ends(ctx context.Context) (map[int32]int64, error) {
	offsets, err := kafka.Listed(t.admin.ListCommittedOffsets(ctx, t.Name))
	if err != nil {
		return nil, fmt.Errorf("ask for the end of %s: %w", t.Name, err)
	}
	ends := map[int32]int64{}
	offsets.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, nil
}

// Record returns the record at an offset, or nil where there is none any more.
func (t *Topic) Record(ctx context.Context, partition int32, offset int64) (*kgo.Record, error) {
	spans, err := t.Spans(ctx, time.Time{}, partition)
	if err != nil || len(spans) == 0 || offset < spans[0].From || offset >= spans[0].To {
		return nil, err
	}
	var found *kgo.Record
	err = t.Read(ctx, []Span{{partition, offset, offset + 1}}, nil, func(r *kgo.Record) error {
		found = r
		return nil
	})
	return found, err
}

// Total returns how many offsets spans hold.
func Total(spans []Span) int64 {
	var n int64
	for _, s := range spans {
		n += s.To - s.From
	}
	return n
}

// Guess is where a partitioner leads to.
type Guess struct {
	Partitions []int32
	By         string
}

// Guesses returns where events of requests with a key may be among n
// partitions. Requests are the numbers of partitions of their topics; an event
// lies in the partition with its request's number, modulo n. The usual producers
// choose by murmur2, as the Java client and franz-go do, or by CRC32, as librdkafka
// does unless told otherwise. A partition is in the first guess only.
func Guesses(key []byte, n int, requests ...int) []Guess {
	var guesses []Guess
	seen := map[int32]bool{}
	for _, by := range []struct {
		name      string
		partition func([]byte, int) int32
	}{{"murmur2", Murmur2}, {"crc32", CRC32}} {
		guess := Guess{By: by.name}
		for _, r := range requests {
			p := by.partition(key, r) % int32(n) //nolint:gosec // a number of partitions
			if !seen[p] {
				guess.Partitions = append(guess.Partitions, p)
			}
			seen[p] = true
		}
		if len(guess.Partitions) > 0 {
			guesses = append(guesses, guess)
		}
	}
	return guesses
}

// Murmur2 returns the partition of a key among n, as the Java client's default
// partitioner chooses.
func Murmur2(key []byte, n int) int32 {
	if key == nil {
		key = []byte{}
	}
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: key}, n)) //nolint:gosec // below n
}

// CRC32 returns the partition of a key among n, as librdkafka's default
// partitioner consistent_random chooses for a key that is not empty.
func CRC32(key []byte, n int) int32 {
	return int32(crc32.ChecksumIEEE(key) % uint32(n)) //nolint:gosec // n is a number of partitions
}
