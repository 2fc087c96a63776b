package consumer

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
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

// faults are the present errors of reading requests. An error ends with the
// first success after it: records of its partition, or a fetch that returns
// neither records nor an error.
//
// The client does not report an empty fetch. But its hook sees each answer, and
// the client fetches again from a broker once what the last answer brought, be
// it records or an error, was polled. So while an error goes on, at most two
// answers come between two notes of it: the next one that has it, and one more
// between its poll and its note. A third answer proves that one had no error.
type faults struct {
	kafka.ErrorLog

	mu sync.Mutex
	// by partition that has an error: fetches of its leader that were answered
	// since it was noted; below zero is the whole topic
	answers map[int32]int
}

const answersThatProve = 3

// note keeps an error, and reports whether it is to be logged.
func (f *faults) note(partition int32, err error) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = map[int32]int{}
	}
	f.answers[partition] = 0
	return f.Changed(strconv.Itoa(int(partition)), err)
}

// over ends the error of a partition, and that of the whole topic.
func (f *faults) over(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.answers {
		if p == partition || p < 0 {
			f.end(p)
		}
	}
}

// end is called with f.mu held.
func (f *faults) end(partition int32) {
	delete(f.answers, partition)
	f.Changed(strconv.Itoa(int(partition)), nil)
}

// answered counts an answered fetch of a broker.
func (f *faults) answered(broker int32, leader func(partition int32) int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.answers {
		if p >= 0 && leader(p) != broker {
			continue
		}
		if f.answers[p]++; f.answers[p] >= answersThatProve {
			f.end(p)
		}
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E: it watches the client's fetches.
func (g *group) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == kmsg.Fetch.Int16() && e2e.Err() == nil && g.running() {
		g.partitions.faults.answered(meta.NodeID, g.leader)
	}
}

var _ kgo.HookBrokerE2E = (*group)(nil)

// leader returns the broker that a partition is read from, or -1.
func (g *group) leader(partition int32) int32 {
	id, _, err := g.client.PartitionLeader(g.Topic, partition)
	if err != nil {
		return -1
	}
	return id
}
