package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
)

// make decides what is to be read for the wants.
func (p *plan) make(ctx context.Context, wants []Want) error {
	if err := p.patiently(ctx, p.ask); err != nil {
		return err
	}
	for _, w := range wants {
		err := p.patiently(ctx, func(ctx context.Context) error { return p.want(ctx, w) })
		if err != nil {
			return fmt.Errorf("partition %d: %w", w.Partition, err)
		}
	}
	return nil
}

// ask learns where the partitions of both topics begin and end. The ends are
// asked for now, after the assignment: what earlier owners have written is in
// front of them.
func (p *plan) ask(ctx context.Context) error {
	meta, err := p.admin.Metadata(ctx, p.StatusTopic)
	p.status = meta.Topics[p.StatusTopic]
	err = cmp.Or(err, p.status.Err)
	if err == nil && len(p.status.Partitions) == 0 {
		err = errors.New("it has no partitions")
	}
	if err != nil {
		return fmt.Errorf("ask for %s: %w", p.StatusTopic, err)
	}
	if p.starts, err = p.admin.ListStartOffsets(ctx, p.StatusTopic, p.Requests); err != nil {
		return fmt.Errorf("ask for log starts: %w", err)
	}
	if p.ends, err = p.admin.ListEndOffsets(ctx, p.StatusTopic, p.Requests); err != nil {
		return fmt.Errorf("ask for log ends: %w", err)
	}
	return nil
}

// log returns where the log of a partition begins and ends.
func (p *plan) log(topic string, partition int32) (start, end int64, err error) {
	s, ok := p.starts.Lookup(topic, partition)
	e, ok2 := p.ends.Lookup(topic, partition)
	if !ok || !ok2 {
		return 0, 0, fmt.Errorf("%s has no partition %d", topic, partition)
	}
	return s.Offset, e.Offset, errors.Join(s.Err, e.Err)
}

// want adds what one request partition needs.
func (p *plan) want(ctx context.Context, w Want) error {
	start, last, err := p.log(p.Requests, w.Partition)
	if err != nil {
		return err
	}
	now := w.Partition % int32(len(p.status.Partitions)) //nolint:gosec // Kafka counts partitions in 32 bits
	low, end, err := p.log(p.StatusTopic, now)
	if err != nil {
		return err
	}
	commit, known := ParseCommit(w.Metadata)
	position := commit.Position
	ours := known && position.Topic == p.status.ID
	from, fresh := low, w.Committed < 0
	if fresh {
		w.Committed = start
	}
	foreign := w.Group && !fresh && !known
	switch {
	case max(w.Committed, start) >= last && !foreign:
		// No request is there to go on with, so that nothing tells of one. Where
		// none has come for long, the position is as old, and other request topics
		// may have filled the status partition since.
		from, ours = end, false
	case fresh: // everything there may be about its requests
	case ours && position.Partition == now && position.Offset >= low && position.Offset <= end:
		from = position.Offset
	default:
		if from, err = p.byTime(ctx, w.Partition, max(w.Committed, start), now, low, end); err != nil {
			return err
		}
	}
	var before *Position
	if ours && position.Partition != now { // the status topic got more partitions
		before = &position
		if oldLow, oldEnd, err := p.log(p.StatusTopic, position.Partition); err == nil {
			p.add(position.Partition, max(oldLow, position.Offset), oldEnd)
		}
	}
	if foreign {
		from = min(from, max(low, end-foreignTail))
	}
	p.add(now, from, end)
	p.found[w.Partition] = Found{
		Start: w.Committed, Fold: NewFold(), Checkpoints: commit.Checkpoints, Before: before, From: Position{Topic: p.status.ID, Partition: now, Offset: from},
		Foreign: foreign, LogStart: start, Handled: -1,
	}
	return nil
}

// foreignTail is how many of the last status events are read behind a commit
// that no worker made, to tell which requests it has passed: enough for some
// hundred requests, in one fetch.
const foreignTail = 1000

// byTime returns where reading begins when the commit of a request partition
// does not say: at the first event of the status partition stamped at most
// lookBack before the request that is committed next, or at low
// where that has no usable time: its events may be anywhere. Without such a
// request nothing can have happened to it, and reading begins at end.
func (p *plan) byTime(ctx context.Context, requests int32, committed int64, partition int32, low, end int64) (int64, error) {
	at, ok, err := p.timestamp(ctx, requests, committed)
	if err != nil || !ok {
		return end, err
	}
	if !models.UsableTime(at) {
		return low, nil
	}
	listed, err := p.admin.ListOffsetsAfterMilli(ctx, at.Add(-lookBack).UnixMilli(), p.StatusTopic)
	if err != nil {
		return 0, fmt.Errorf("ask for offsets by time: %w", err)
	}
	o, ok := listed.Lookup(p.StatusTopic, partition)
	if !ok || o.Err != nil {
		return 0, errors.Join(errors.New("ask for offset by time"), o.Err)
	}
	return min(o.Offset, end), nil
}

// timestamp returns that of the first committed record of a request partition
// from an offset on, the zero time where Kafka does not tell it, and false where there
// is no such record: then no owner has seen one.
func (p *plan) timestamp(ctx context.Context, partition int32, from int64) (at time.Time, ok bool, err error) {
	ends, err := p.admin.ListCommittedOffsets(ctx, p.Requests)
	if err != nil {
		return at, false, fmt.Errorf("ask for log ends: %w", err)
	}
	end, ok := ends.Lookup(p.Requests, partition)
	if !ok || end.Err != nil {
		return at, false, errors.Join(errors.New("ask for log end"), end.Err)
	}
	rec, next, err := kafka.NextCommitted(ctx, p.client, p.Requests, partition, from, end.Offset)
	if err != nil {
		return at, false, fmt.Errorf("read a request: %w", err)
	}
	if rec != nil {
		return rec.Timestamp, true, nil
	}
	return at, next < end.Offset, nil // where Kafka does not tell, everything in the log may be about it
}
