package consumer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/models"
)

// maxPoll bounds the records taken at once, so that a rebalance never waits
// long for a poll to be sorted.
const maxPoll = 2000

// batch is what one poll brought of one partition.
type batch struct {
	assignment *assignment
	records    []*kgo.Record
}

// pollLoop reads until ctx ends. Rebalances are held back only while a poll
// is sorted by assignment, never while records wait for room: a record's
// assignment is decided there and then, and if that ends, so does the record.
func (c *Consumer) pollLoop(ctx, hard context.Context) {
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := c.client.PollRecords(poll, maxPoll)
		cancel()
		c.opts.PollBeat()
		if fetches.IsClientClosed() {
			return
		}
		batches := c.sort(fetches)
		failed := c.fetchErrors(ctx, hard, fetches)
		c.client.AllowRebalance()
		for _, b := range batches {
			c.admit(ctx, b)
		}
		if failed && len(batches) == 0 {
			c.pause(ctx)
		}
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
		if a, ok := c.owned[p.Partition]; ok && len(p.Records) > 0 {
			batches = append(batches, batch{a, p.Records})
		}
	})
	return batches
}

// admit hands the records over, each as soon as the pending bounds have room.
func (c *Consumer) admit(ctx context.Context, b batch) {
	for _, r := range b.records {
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
func (c *Consumer) handle(ctx, calls context.Context, a *assignment, rec *models.Record, progress models.Progress) {
	defer c.pending.release(int64(len(rec.Value)))
	err := c.handler(ctx, calls, rec, progress, &Claim{consumer: c, assignment: a, record: rec})
	switch {
	case err == nil:
		a.finish(rec)
	case ctx.Err() == nil:
		c.unfinished(rec, err, "message left unfinished; it is read again after a restart")
	case a.outlives && a.isPassed(rec.Offset):
		c.unfinished(rec, err, "message cut before its outcome; its offset is committed, so it is not read again")
	}
}

func (c *Consumer) unfinished(rec *models.Record, err error, what string) {
	c.log.Error().Err(err).Int32("partition", rec.Partition).Int64("offset", rec.Offset).Msg(what)
}

// fetchErrors looks after the errors of a poll and reports whether there were
// any. It is called while rebalances are held back.
func (c *Consumer) fetchErrors(ctx, hard context.Context, fetches kgo.Fetches) bool {
	failed := false
	fetches.EachError(func(topic string, partition int32, err error) {
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			return
		case errors.Is(err, kerr.OffsetOutOfRange):
			c.reset(ctx, hard, partition)
		default:
			c.noteFetchError(topic, partition, err)
		}
		failed = true
	})
	return failed
}

func (c *Consumer) noteFetchError(topic string, partition int32, err error) {
	c.mu.Lock()
	again := c.standing() != nil && c.fetchErr.Error() == err.Error()
	c.fetchErr, c.fetchErrAt = err, time.Now()
	c.mu.Unlock()
	if !again { // a standing error is told once, and by readiness all along
		c.log.Error().Err(err).Str("topic", topic).Int32("partition", partition).
			Msg("read requests: will be tried again")
	}
}

// standing returns the latest error while it is fresh: one that has not come
// back for a while is over. It is called with c.mu held.
func (c *Consumer) standing() error {
	if time.Since(c.fetchErrAt) > 10*time.Second {
		return nil
	}
	return c.fetchErr
}

// reset goes on at the earliest record of a partition whose position is not
// in the log (any more): retention overtook us, or the log was cut. Reading
// again what may have been done is the lesser evil against leaving it out.
func (c *Consumer) reset(ctx, hard context.Context, partition int32) {
	reading := ctx // a stop ends the reading of the journal too
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	admin := kadm.NewClient(c.client)
	starts, err := admin.ListStartOffsets(ctx, c.opts.Topic)
	if err == nil {
		err = starts.Error()
	}
	start, ok := starts.Lookup(c.opts.Topic, partition)
	if err != nil || !ok {
		c.log.Warn().Err(err).Int32("partition", partition).Msg("position out of range: cannot ask for the earliest record yet")
		return
	}
	was := c.client.CommittedOffsets()[c.opts.Topic][partition].Offset
	c.log.Error().Int32("partition", partition).Int64("committed_offset", was).Int64("earliest_offset", start.Offset).
		Msg("position out of range: going on at the earliest record")

	old := c.pick([]int32{partition})
	c.forget(old)
	for _, a := range old {
		a.halt(errHandedOver)
	}
	c.assigned(hard, []int32{partition})
	defer c.recover(reading, []journal.Want{{Partition: partition, Committed: -1}})
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		c.opts.Topic: {partition: {Epoch: -1, Offset: start.Offset}},
	})
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
