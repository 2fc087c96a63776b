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

// warnOfForeign logs which requests a commit has passed that no worker made:
// that of another kind of consumer in our group, or a reset by hand. Nobody has
// sent them, and nobody will. LastCommit returns what this process committed
// last of a partition, or -1.
func (b *base) warnOfForeign(ctx context.Context, found map[int32]journal.Found, lastCommit func(partition int32) int64) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	for _, partition := range slices.Sorted(maps.Keys(found)) {
		if f := found[partition]; f.Foreign {
			b.warnOfRange(ctx, partition, f, lastCommit(partition))
		}
	}
}

func (b *base) warnOfRange(ctx context.Context, partition int32, f journal.Found, lastCommit int64) {
	first, by := f.LogStart, "the log's start: no status event tells of a request"
	if f.Handled >= 0 {
		first, by = f.Handled+1, "the latest request that a status event tells of"
	}
	if lastCommit >= 0 {
		first, by = lastCommit, "the last commit of this worker"
	}
	first = b.firstRequest(ctx, partition, max(first, f.LogStart), f.Start)
	if first >= f.Start {
		return // it went back, or passed nothing
	}
	b.Log.Warn().Str("topic", b.Topic).Int32("partition", partition).Str("group", b.Group).
		Int64("first_offset", first).Int64("last_offset", f.Start-1).Str("known_by", by).
		Msg("the group's offset was committed by something that is no worker: requests in this range are not sent; " +
			"to have them sent, stop the workers and reset the offset to first_offset: what is finished is not sent again")
}

// firstRequest returns the offset of the first request from one offset to below
// another, or the latter where there is none: transaction markers and records
// that were rolled back are no requests. Where Kafka does not answer, it returns
// the offset from which on there may be one.
func (b *base) firstRequest(ctx context.Context, partition int32, from, to int64) int64 {
	for from < to {
		found, next, err := kafka.NextCommitted(ctx, b.client, b.Topic, partition, from)
		if found == nil && (err != nil || next <= from) {
			break
		}
		if from = next; found != nil {
			break
		}
	}
	return from
}
