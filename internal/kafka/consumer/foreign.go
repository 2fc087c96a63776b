package consumer

import (
	"context"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/journal"
)

// lookWithin bounds the search for what a foreign commit has passed: the
// partitions wait for it.
const lookWithin = 5 * time.Second

// warnOfForeign tells which requests a commit has passed that no worker made:
// that of a member of another kind in our group, or a reset by hand. Nobody has
// sent them, and nobody will.
func (c *Consumer) warnOfForeign(ctx context.Context, found map[int32]journal.Found) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	for _, partition := range slices.Sorted(maps.Keys(found)) {
		if f := found[partition]; f.Foreign {
			c.warnOfRange(ctx, partition, f)
		}
	}
}

func (c *Consumer) warnOfRange(ctx context.Context, partition int32, f journal.Found) {
	first, by := f.LogStart, "the log's start: no status event tells of a request"
	if f.Handled >= 0 {
		first, by = f.Handled+1, "the latest request that a status event tells of"
	}
	if last := c.lastCommit(partition); last >= 0 {
		first, by = last, "the last commit of this worker"
	}
	first = c.firstRequest(ctx, partition, max(first, f.LogStart), f.Start)
	if first >= f.Start {
		return // it went back, or passed nothing
	}
	c.log.Warn().Str("topic", c.opts.Topic).Int32("partition", partition).Str("group", c.opts.Group).
		Int64("first_offset", first).Int64("last_offset", f.Start-1).Str("known_by", by).
		Msg("the group's offset was committed by something that is no worker: requests in this range are not sent; " +
			"to have them sent, stop the workers and reset the offset to first_offset: what is finished is not sent again")
}

// firstRequest returns the offset of the first request from one offset to below
// another, or the latter where there is none: markers and what was rolled back
// are nothing to send. Where Kafka does not tell, the first may be one.
func (c *Consumer) firstRequest(ctx context.Context, partition int32, from, to int64) int64 {
	for from < to {
		found, next, err := kafka.NextCommitted(ctx, c.client, c.opts.Topic, partition, from)
		if found == nil && (err != nil || next <= from) {
			break
		}
		if from = next; found != nil {
			break
		}
	}
	return from
}

// lastCommit returns what this process committed last of a partition that it
// owned before, or -1.
func (c *Consumer) lastCommit(partition int32) int64 {
	c.mu.Lock()
	before := c.lately[partition]
	c.mu.Unlock()
	if before == nil {
		return -1
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	return before.committed
}
