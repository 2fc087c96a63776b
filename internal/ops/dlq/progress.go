package dlq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// progress is how far a batch has come, kept in Kafka as the offsets of a
// group that has no members.
type progress struct {
	admin *kadm.Client
	group string
	topic *scan.Topic
	at    map[int32]int64 // where to go on
	last  map[int32]int64 // what Kafka has of it
}

// spans returns what the batch has not passed yet.
func (p *progress) spans(ctx context.Context, since time.Time) ([]scan.Span, error) {
	committed, err := p.committed(ctx)
	if err != nil {
		return nil, err
	}
	p.at, p.last = maps.Clone(committed), committed
	spans, err := p.topic.Spans(ctx, since)
	if err != nil {
		return nil, err
	}
	var left []scan.Span
	for _, s := range spans {
		if at := committed[s.Partition]; at > s.To {
			return nil, fault.New(fault.PassedEnd, "batch %s has passed offset %d of %s/%d, which ends at %d: was the topic made anew?",
				p.group, at, p.topic.Name, s.Partition, s.To)
		} else if at > s.From {
			s.From = at
		}
		if s.From < s.To {
			left = append(left, s)
		}
	}
	return left, nil
}

func (p *progress) committed(ctx context.Context) (map[int32]int64, error) {
	offsets, err := p.admin.FetchOffsetsForTopics(ctx, p.group, p.topic.Name)
	if err == nil {
		err = offsets.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) { // some brokers say so of one that is yet to come
		return map[int32]int64{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the progress of batch %s: %w", p.group, err)
	}
	at := map[int32]int64{}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 {
			at[o.Partition] = o.At
		}
	})
	return at, nil
}

// commit writes the progress to Kafka. Where Kafka has another one than was
// committed last, another process replays the same batch: going on would send
// twice.
func (p *progress) commit(ctx context.Context) error {
	if maps.Equal(p.at, p.last) {
		return nil
	}
	there, err := p.committed(ctx)
	if err != nil {
		return err
	}
	if !maps.Equal(there, p.last) {
		return fmt.Errorf("batch %s is being replayed by somebody else too: this run has stopped", p.group)
	}
	var offsets kadm.Offsets
	for partition, at := range p.at {
		offsets.AddOffset(p.topic.Name, partition, at, -1)
	}
	if err := p.admin.CommitAllOffsets(ctx, p.group, offsets); err != nil {
		return fmt.Errorf("note the progress of batch %s: %w", p.group, err)
	}
	p.last = maps.Clone(p.at)
	return nil
}
