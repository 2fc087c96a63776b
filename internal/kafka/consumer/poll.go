package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
)

// maxPoll bounds the records taken at once, so that an assignment never waits
// long for a poll to be sorted.
const maxPoll = 2000

// poller reads the topic and admits records.
type poller struct {
	*base

	assigner *assigner
	runner   *runner

	mu     sync.Mutex
	latest *polling
}

// polling is one poll, from before the client hands records out until each of
// them has its assignment.
type polling struct {
	stop   context.CancelFunc // what has come by then is still handed out
	sorted chan struct{}      // closed at its end
}

// loop reads until life is stopped. It never waits for a rebalance: partitions
// that stay are worked on while others are handed over.
func (p *poller) loop(life *lifetime.Lifetime) {
	defer p.Observer.Draining()
	ctx := life.Waiting()
	for ctx.Err() == nil {
		fetches, batches := p.next(ctx)
		p.Observer.Polling()
		if fetches.IsClientClosed() {
			return
		}
		failed := p.fetchErrors(fetches)
		p.assigner.reposition(life, batches)
		for _, b := range batches {
			p.admit(ctx, b)
		}
		if failed && fetches.NumRecords() == 0 {
			_ = lifetime.Sleep(ctx, 250*time.Millisecond) // a topic that answers only errors is not asked in a loop
		}
	}
}

// next takes what the client has read, or waits a second for it, and finds
// each record's assignment. If that ends later, so does the record.
func (p *poller) next(ctx context.Context) (kgo.Fetches, []batch) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	now := &polling{stop: cancel, sorted: make(chan struct{})}
	defer close(now.sorted)
	p.mu.Lock()
	p.latest = now
	p.mu.Unlock()
	fetches := p.client.PollRecords(ctx, maxPoll)
	return fetches, p.sort(fetches)
}

// await waits until all that the client has handed out is sorted, and has a
// poll that waits for more end. The client has stopped reading a partition
// before it is assigned anew: what an earlier assignment read of it can then
// never be taken for the new one's.
func (p *poller) await() {
	p.mu.Lock()
	latest := p.latest
	p.mu.Unlock()
	if latest != nil {
		latest.stop()
		<-latest.sorted
	}
}

func (p *poller) sort(fetches kgo.Fetches) []batch {
	var batches []batch
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) > 0 && f.Err == nil {
			p.partitions.faults.over(f.Partition)
		}
		if len(f.Records) == 0 && f.Err == nil {
			return
		}
		for _, a := range p.partitions.pick(f.Partition) {
			batches = append(batches, batch{a, f.Records, f.Err})
		}
	})
	return batches
}

// admit hands the records over, each as soon as the pending bounds have room.
func (p *poller) admit(ctx context.Context, b batch) {
	for _, r := range b.records {
		if r.Attrs.IsControl() {
			b.assignment.pass(r.Offset, r.LeaderEpoch)
			continue
		}
		size := int64(len(r.Value))
		if err := p.runner.pending.take(ctx, size, p.Observer.Polling); err != nil {
			return
		}
		progress, ok := b.assignment.admit(r)
		if !ok {
			p.runner.pending.release(size)
			continue
		}
		p.runner.start(b.assignment, r, progress)
	}
}

// fetchErrors notes the errors of a poll and reports whether there were any.
func (p *poller) fetchErrors(fetches kgo.Fetches) bool {
	failed := false
	changed := map[string][]int32{} // partitions by text: what ends a topic ends all of them at once
	fetches.EachError(func(_ string, partition int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return
		}
		failed = true
		// OnGroupManageError has reported a group session that ended before, and
		// by now another one may have begun.
		_, session := errors.AsType[*kgo.ErrGroupSession](err)
		if isOffRange(err) || session {
			return
		}
		if p.partitions.faults.note(partition, err) {
			changed[err.Error()] = append(changed[err.Error()], partition)
		}
	})
	for text, partitions := range changed { // readiness shows it all along
		p.Log.Error().Str(zerolog.ErrorFieldName, text).Str("topic", p.Topic).Ints32("partitions", partitions).
			Msg("read requests: will be tried again")
	}
	return failed
}
