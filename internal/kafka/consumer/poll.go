package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// maxPoll bounds the records taken at once, so that an assignment never waits
// long for a poll to be sorted.
const maxPoll = 2000

// batch is what one poll brought of one partition.
type batch struct {
	assignment *assignment
	records    []*kgo.Record
	err        error
}

// polling is one poll, from before the client hands records out until each of
// them has its assignment.
type polling struct {
	stop   context.CancelFunc // what has come by then is still handed out
	sorted chan struct{}      // closed at its end
}

// pollLoop reads until life is stopped. It never waits for a rebalance: partitions
// that stay are worked on while others are handed over.
func (c *Consumer) pollLoop(life *lifetime.Lifetime) {
	ctx := life.Waiting()
	defer c.opts.PollEnd()
	for ctx.Err() == nil {
		fetches, batches := c.poll(ctx)
		c.opts.PollBeat()
		if fetches.IsClientClosed() {
			return
		}
		failed := c.fetchErrors(fetches)
		c.reposition(life, batches)
		for _, b := range batches {
			c.admit(ctx, b)
		}
		if failed && fetches.NumRecords() == 0 {
			c.pause(ctx)
		}
	}
}

// poll takes what the client has read, or waits a second for it, and finds
// each record's assignment. If that ends later, so does the record.
func (c *Consumer) poll(ctx context.Context) (kgo.Fetches, []batch) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	p := &polling{stop: cancel, sorted: make(chan struct{})}
	c.mu.Lock()
	c.polling = p
	c.mu.Unlock()
	fetches := c.client.PollRecords(ctx, maxPoll)
	batches := c.sort(fetches)
	close(p.sorted)
	return fetches, batches
}

// awaitPoll waits until all that the client has handed out is sorted, and has
// a poll that waits for more end. The client has stopped reading a partition
// before it is assigned anew: what an earlier assignment read of it can then
// never be taken for the new one's.
func (c *Consumer) awaitPoll() {
	c.mu.Lock()
	p := c.polling
	c.mu.Unlock()
	if p != nil {
		p.stop()
		<-p.sorted
	}
}

// pause keeps a topic that answers only errors from being asked in a loop.
func (c *Consumer) pause(ctx context.Context) {
	select {
	case <-time.After(250 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (c *Consumer) sort(fetches kgo.Fetches) []batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batches []batch
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) > 0 && p.Err == nil {
			c.faults.over(p.Partition)
		}
		if a, ok := c.owned[p.Partition]; ok && (len(p.Records) > 0 || p.Err != nil) {
			batches = append(batches, batch{a, p.Records, p.Err})
		}
	})
	return batches
}

// admit hands the records over, each as soon as the pending bounds have room.
func (c *Consumer) admit(ctx context.Context, b batch) {
	for _, r := range b.records {
		if r.Attrs.IsControl() {
			b.assignment.pass(r.Offset, r.LeaderEpoch)
			continue
		}
		size := int64(len(r.Value))
		if err := c.pending.take(ctx, size, c.opts.PollBeat); err != nil {
			return
		}
		progress, ok := b.assignment.admit(r, c.opts.Acked)
		if !ok {
			c.pending.release(size)
			continue
		}
		b.assignment.start(record(r), progress)
	}
}

// handle runs in the message's own goroutine.
func (c *Consumer) handle(life *lifetime.Lifetime, a *assignment, rec *models.Record, progress message.Progress) {
	defer c.pending.release(int64(len(rec.Value)))
	err := c.handler(life, rec, progress, &Lease{consumer: c, assignment: a, record: rec})
	switch {
	case err == nil:
		a.finish(rec)
	case life.Waiting().Err() == nil:
		c.unfinished(rec, err, "message left unfinished; it is read again after a restart")
	case a.outlives && a.isPassed(rec.Offset):
		c.unfinished(rec, err, "message cut before its outcome; its offset is committed, so it is not read again")
	}
}

func (c *Consumer) unfinished(rec *models.Record, err error, what string) {
	c.log.Error().Err(err).Int32("partition", rec.Partition).Int64("offset", rec.Offset).Msg(what)
}

// fetchErrors notes the errors of a poll and reports whether there were any.
func (c *Consumer) fetchErrors(fetches kgo.Fetches) bool {
	failed := false
	fresh := map[string][]int32{} // partitions by text: what ends a topic ends all of them at once
	fetches.EachError(func(_ string, partition int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return
		}
		failed = true
		// Of a group session that ended OnGroupManageError has told before, and
		// by now another one may have begun.
		_, session := errors.AsType[*kgo.ErrGroupSession](err)
		if isOffRange(err) || session {
			return
		}
		if c.faults.note(partition, err) {
			fresh[err.Error()] = append(fresh[err.Error()], partition)
		}
	})
	for text, partitions := range fresh { // readiness tells it all along
		c.log.Error().Str(zerolog.ErrorFieldName, text).Str("topic", c.opts.Topic).Ints32("partitions", partitions).
			Msg("read requests: will be tried again")
	}
	return failed
}

// record copies r out of the client's fetch buffer: one message that backs
// off for minutes must not keep a whole batch in memory.
func record(r *kgo.Record) *models.Record {
	both := make([]byte, 0, len(r.Key)+len(r.Value)) // nil stays nil: a null value is not an empty one
	rec := &models.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp,
	}
	if r.Key != nil {
		both = append(both, r.Key...)
		rec.Key = slices.Clip(both)
	}
	if r.Value != nil {
		both = append(both, r.Value...)
		rec.Value = both[len(r.Key):]
	}
	if len(r.Headers) > 0 {
		rec.Headers = make([]models.Header, len(r.Headers))
		for i, h := range r.Headers {
			rec.Headers[i] = models.Header{Key: h.Key, Value: slices.Clone(h.Value)}
		}
	}
	return rec
}
