package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/journal"
)

// patience bounds how long reading the journal may come no further. How long
// all of it may take is not bounded: it is as long as the journal.
const patience = time.Minute

// wants reads from an answer of the group where each partition was committed,
// and what the commits say of the journal.
func wants(resp *kmsg.OffsetFetchResponse, topic string) []journal.Want {
	var list []journal.Want
	add := func(name string, partition int32, offset int64, metadata *string) {
		if name != topic {
			return
		}
		w := journal.Want{Partition: partition, Committed: offset, Group: true}
		if metadata != nil {
			w.Metadata = *metadata
		}
		list = append(list, w)
	}
	if len(resp.Groups) == 0 { // before version 8; the client fills both
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				add(t.Topic, p.Partition, p.Offset, p.Metadata)
			}
		}
	}
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				add(t.Topic, p.Partition, p.Offset, p.Metadata)
			}
		}
	}
	return list
}

// recover reads the journal of partitions that were just assigned and then
// lets their records in. It returns at once: no callback of the group waits
// for a journal.
func (c *Consumer) recover(ctx context.Context, list []journal.Want) {
	byPartition := map[int32]*assignment{}
	for _, w := range list {
		for _, a := range c.pick([]int32{w.Partition}) {
			byPartition[w.Partition] = a
			if c.opts.AtMostOnce {
				a.fetched(w.Committed)
			}
		}
	}
	if c.opts.AtMostOnce || len(byPartition) == 0 {
		return
	}
	c.recoveries.Go(func() {
		var told kafka.ErrorLog
		for {
			err := c.readJournal(ctx, list, byPartition)
			c.setJournalErr(&told, err)
			if err == nil || ctx.Err() != nil {
				return
			}
			if told.Changed("journal", err) {
				c.log.Warn().Err(err).Msg("read the journal of assigned partitions: will be tried again; they wait")
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return
			}
		}
	})
}

// setJournalErr keeps what readiness says of one of the readings of journals
// that are under way. Each is tried again until it succeeds, and ends no other's
// error.
func (c *Consumer) setJournalErr(reading *kafka.ErrorLog, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.journalErrs, reading)
		return
	}
	c.journalErrs[reading] = fmt.Errorf("the journal cannot be read: %w", err)
}

// journalErr returns one of the errors of reading journals, or nil. It is
// called with c.mu held.
func (c *Consumer) journalErr() error {
	var first error
	for _, err := range c.journalErrs {
		if first == nil || err.Error() < first.Error() { // the same one while they stand
			first = err
		}
	}
	return first
}

// readJournal returns nil when there is nothing left to do: the journals are
// read, or the partitions are gone.
func (c *Consumer) readJournal(ctx context.Context, list []journal.Want, byPartition map[int32]*assignment) error {
	var open []journal.Want
	for _, w := range list {
		if a, ok := byPartition[w.Partition]; ok && !a.halted() {
			open = append(open, w)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := c.settle(ctx, open); err != nil {
		return err
	}
	client, err := c.opts.Kafka.Client(c.log)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	reader := &journal.Reader{Client: client, Requests: c.opts.Topic, StatusTopic: c.opts.StatusTopic, Patience: patience}
	return c.takeJournal(ctx, reader, open, byPartition)
}

// settle waits until this process has written what it still had to say of
// partitions that it lost and has got back: after an outage the events of
// finished calls may be on their way, and the journal must have them before it
// is read.
func (c *Consumer) settle(ctx context.Context, list []journal.Want) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, w := range list {
		c.mu.Lock()
		before := c.lately[w.Partition]
		c.mu.Unlock()
		if before == nil {
			continue
		}
		before.handlers.Wait() // they were told to end at once
		if err := c.opts.Settled(ctx, w.Partition); err != nil {
			return fmt.Errorf("wait for our own events of partition %d: %w", w.Partition, err)
		}
	}
	return nil
}

func (c *Consumer) takeJournal(
	ctx context.Context, reader *journal.Reader, open []journal.Want, byPartition map[int32]*assignment,
) error {
	begun := time.Now()
	found, records, err := reader.Read(ctx, open)
	if err != nil {
		return err
	}
	c.warnOfForeign(ctx, found)
	requests := 0
	for _, w := range open {
		f := found[w.Partition]
		requests += f.Fold.Len()
		// What no worker committed is committed again at once, with the place:
		// the next owner knows then where to read, and need not be warned.
		byPartition[w.Partition].recovered(f, w.Committed >= 0 && !f.Foreign)
		c.resume(w.Partition, byPartition[w.Partition])
	}
	c.tally.journalRecords.Add(uint64(max(0, records)))
	c.askForCommit(false)
	c.log.Info().Int("partitions", len(open)).Int("records", records).Int("requests", requests).
		Dur("took", time.Since(begun)).Msg("journal read")
	return nil
}

// resume lets the partition's records in, unless it has moved on meanwhile.
func (c *Consumer) resume(partition int32, a *assignment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owned[partition] == a {
		c.client.ResumeFetchPartitions(map[string][]int32{c.opts.Topic: {partition}})
	}
}

// halted reports whether nothing more is admitted.
func (a *assignment) halted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stopped
}
