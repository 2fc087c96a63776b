package consumer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/lifetime"
)

// patience bounds how long reading the journal may make no progress. All of it
// may take any time: that depends on the journal's length.
const patience = time.Minute

// wants reads from an answer of the group where each partition was committed,
// and what the commits say of the journal.
func wants(resp *kmsg.OffsetFetchResponse, topic string) []journal.Want {
	var list []journal.Want
	for _, t := range resp.Groups[0].Topics { // the client fills it whatever the version
		if t.Topic != topic {
			continue
		}
		for _, p := range t.Partitions {
			want := journal.Want{Partition: p.Partition, Committed: p.Offset, Group: true}
			if p.Metadata != nil {
				want.Metadata = *p.Metadata
			}
			list = append(list, want)
		}
	}
	return list
}

// recovery takes assignments to where earlier owners left them.
type recovery struct {
	*base

	committer *committer
	readings  sync.WaitGroup
	begun     atomic.Int64 // how many readings
}

// recover reads the journal of partitions that were just assigned and then
// lets their records in. It returns at once: no callback of the group waits
// for a journal. It ends with ctx.
func (r *recovery) recover(ctx context.Context, list []journal.Want) {
	byPartition := map[int32]*assignment{}
	for _, w := range list {
		for _, a := range r.partitions.pick(w.Partition) {
			if a.fetched(w.Committed) {
				byPartition[w.Partition] = a
			}
		}
	}
	if len(byPartition) > 0 {
		r.readings.Go(func() { r.retry(ctx, func() error { return r.read(ctx, list, byPartition) }) })
	}
}

// retry reads until that succeeds or ctx ends. It ends no other reading's error.
func (r *recovery) retry(ctx context.Context, read func() error) {
	reading := fmt.Sprint("journal ", r.begun.Add(1))
	for err := read(); err != nil; err = read() {
		if ctx.Err() == nil && r.failing.Changed(reading, fmt.Errorf("the journal cannot be read: %w", err)) {
			r.Log.Warn().Err(err).Msg("read the journal of assigned partitions: will be tried again; they wait")
		}
		if lifetime.Sleep(ctx, time.Second) != nil {
			return
		}
	}
	r.failing.Changed(reading, nil)
}

// read returns nil when there is nothing left to do: the journals are read, or
// the partitions are gone.
func (r *recovery) read(ctx context.Context, list []journal.Want, byPartition map[int32]*assignment) error {
	var open []journal.Want
	for _, w := range list {
		if a, ok := byPartition[w.Partition]; ok && !a.isStopping() {
			open = append(open, w)
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := r.flush(ctx, open); err != nil {
		return err
	}
	client, err := r.Kafka.Client(r.Log)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	begun := time.Now()
	reader := &journal.Reader{Client: client, Requests: r.Topic, StatusTopic: r.StatusTopic, Patience: patience}
	found, records, err := reader.Read(ctx, open)
	if err != nil {
		return err
	}
	looking, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	for _, w := range open { // before any is let in: the search would stand behind the client's fetches
		if f := found[w.Partition]; f.Foreign {
			r.warnOfForeign(looking, w.Partition, f)
		}
	}
	requests := 0
	for _, w := range open {
		f := found[w.Partition]
		requests += f.Fold.Len()
		r.resume(byPartition[w.Partition], w, f)
	}
	r.tally.journalRecords.Add(uint64(max(0, records)))
	r.committer.askNow()
	r.Log.Info().Int("partitions", len(open)).Int("records", records).Int("requests", requests).
		Dur("took", time.Since(begun)).Msg("journal read")
	return nil
}

// flush waits until this process has written its events of partitions that it
// lost and has got back: after an outage the events of finished calls may be on
// their way, and the journal must have them before it is read.
func (r *recovery) flush(ctx context.Context, list []journal.Want) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, w := range list {
		before := r.partitions.before(w.Partition)
		if before == nil {
			continue
		}
		before.handlers.Wait() // they were told to end at once
		if err := r.Journal.FlushPartition(ctx, w.Partition); err != nil {
			return fmt.Errorf("wait for our own events of partition %d: %w", w.Partition, err)
		}
	}
	return nil
}

// resume lets the partition's records in, unless it has moved on meanwhile.
func (r *recovery) resume(a *assignment, w journal.Want, f journal.Found) {
	// What no worker committed is committed again at once, with metadata: the
	// next owner knows then where to read, and need not be warned.
	a.recovered(f, w.Committed >= 0 && !f.Foreign)
	r.partitions.ifOwned(a, func() {
		r.client.ResumeFetchPartitions(map[string][]int32{r.Topic: {a.partition}})
	})
}

// lookWithin bounds the search for what a foreign commit has passed: the
// partitions wait for it.
const lookWithin = 5 * time.Second

// warnOfForeign logs which requests were passed by a commit that no worker
// made: by another kind of consumer in our group, or a reset by hand. They were
// not sent, and will not be.
func (r *recovery) warnOfForeign(ctx context.Context, partition int32, f journal.Found) {
	first, by := f.LogStart, "the log's start: no status event tells of a request"
	if f.Handled >= 0 {
		first, by = f.Handled+1, "the latest request that a status event tells of"
	}
	if before := r.partitions.before(partition); before != nil {
		if committed := before.stats().Committed; committed >= 0 {
			first, by = committed, "the last commit of this worker"
		}
	}
	// Transaction markers and records that were rolled back are no requests. Where
	// Kafka does not answer, there may be one from here on.
	_, first, _ = kafka.NextCommitted(ctx, r.client, r.Topic, partition, max(first, f.LogStart), f.Start)
	if first >= f.Start {
		return // it went back, or passed nothing
	}
	r.Log.Warn().Str("topic", r.Topic).Int32("partition", partition).Str("group", r.Group).
		Int64("first_offset", first).Int64("last_offset", f.Start-1).Str("known_by", by).
		Msg("the group's offset was committed by something that is no worker: requests in this range are not sent; " +
			"to have them sent, stop the workers and reset the offset to first_offset: what is finished is not sent again")
}
