package scan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
)

// fetchBytes is how much one request asks of one partition: enough to make
// requests rare, and little enough for several in memory.
const fetchBytes = 4 << 20

// Read calls visit for each record of the spans whose key is wanted; a nil
// want wants all. Want is called by several goroutines at once and must not
// keep the key. Visit is called by one at a time, in the order of each
// partition; its error ends the reading and is returned.
func (t *Topic) Read(ctx context.Context, spans []Span, want func(key []byte) bool, visit func(*kgo.Record) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	alone := func(r *kgo.Record) error {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil { // what ends ctx also ends what is under way
			return context.Cause(ctx)
		}
		return visit(r)
	}
	work := make(chan Span, len(spans))
	for _, s := range spans {
		work <- s
	}
	close(work)
	var wg sync.WaitGroup
	// One more than there are processors: one of them waits for the network.
	for range min(len(spans), runtime.GOMAXPROCS(0)+1) {
		wg.Go(func() {
			r := newReader(t, want, alone)
			for s := range work {
				if err := r.span(ctx, s); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// reader reads one span after the other.
type reader struct {
	topic        *Topic
	want         func([]byte) bool
	visit        func(*kgo.Record) error
	decompressor kgo.Decompressor
	buffer       []byte // of what was decompressed last
}

func newReader(t *Topic, want func([]byte) bool, visit func(*kgo.Record) error) *reader {
	r := &reader{topic: t, want: want, visit: visit}
	r.decompressor = kgo.DefaultDecompressor(r)
	return r
}

// GetDecompressBytes lends the decompressor the same memory for every batch.
func (r *reader) GetDecompressBytes([]byte, kgo.CompressionCodecType) []byte { return r.buffer[:0] }

// PutDecompressBytes takes nothing back: the reader has it.
func (*reader) PutDecompressBytes([]byte) {}

func (r *reader) span(ctx context.Context, s Span) error {
	for s.From < s.To {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p, err := r.fetch(ctx, s)
		if err != nil {
			return fmt.Errorf("read %s/%d from offset %d: %w", r.topic.Name, s.Partition, s.From, err)
		}
		if errors.Is(kerr.ErrorForCode(p.ErrorCode), kerr.OffsetOutOfRange) {
			s.From = max(s.From+1, p.LogStartOffset) // retention was faster
			continue
		}
		if s.From, err = r.batches(s, p.RecordBatches, newAborted(p.AbortedTransactions)); err != nil {
			return err
		}
	}
	return nil
}

// tries is how often a fetch is made that fails for a cause that may pass.
const tries = 5

func (r *reader) fetch(ctx context.Context, s Span) (*kmsg.FetchResponseTopicPartition, error) {
	for n := 1; ; n++ {
		p, err := r.fetchOnce(ctx, s)
		if err == nil {
			err = kerr.ErrorForCode(p.ErrorCode)
		}
		switch {
		case err == nil || errors.Is(err, kerr.OffsetOutOfRange):
			return p, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case n == tries || !kerr.IsRetriable(err):
			return nil, err
		}
		if err := lifetime.Sleep(ctx, time.Duration(n)*200*time.Millisecond); err != nil {
			return nil, err
		}
		if err := r.topic.refresh(ctx); err != nil {
			return nil, err
		}
	}
}

func (r *reader) fetchOnce(ctx context.Context, s Span) (*kmsg.FetchResponseTopicPartition, error) {
	leader, id := r.topic.leader(s.Partition)
	if leader < 0 {
		return nil, kerr.LeaderNotAvailable
	}
	broker := r.topic.client.Broker(leader)
	return kafka.FetchCommitted(ctx, broker, r.topic.Name, id, s.Partition, s.From, fetchBytes, 500*time.Millisecond)
}
