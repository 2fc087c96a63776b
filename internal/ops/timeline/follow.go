package timeline

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
)

// assign has the client read the topics from now on, or from their start.
func assign(ctx context.Context, client *kgo.Client, topics []*scan.Topic, fromStart bool) error {
	offsets := map[string]map[int32]kgo.Offset{}
	for _, t := range topics {
		ends, err := t.Ends(ctx)
		if err != nil {
			return err
		}
		offsets[t.Name] = map[int32]kgo.Offset{}
		for partition, end := range ends {
			offsets[t.Name][partition] = kgo.NewOffset().At(end)
			if fromStart {
				offsets[t.Name][partition] = kgo.NewOffset().AtStart()
			}
		}
	}
	client.AddConsumePartitions(offsets)
	return nil
}

// Follow calls seen for each status event of the topics, in the order of each
// partition, from now on or from their start. A message id chooses its events
// alone; empty is all. Only the end of ctx, whose cause it returns, an error
// of seen or of Kafka ends it.
func Follow(ctx context.Context, client *kgo.Client, topics []*scan.Topic, fromStart bool, id string, seen func(Event) error) error {
	if err := assign(ctx, client, topics, fromStart); err != nil {
		return err
	}
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, failed := range fetches.Errors() {
			return fmt.Errorf("follow %s/%d: %w", failed.Topic, failed.Partition, failed.Err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			if id != "" && string(rec.Key) != id {
				continue
			}
			e, ok := ParseEvent(rec)
			if !ok {
				continue // foreign records are not ours to judge
			}
			if err := seen(e); err != nil {
				return err
			}
		}
	}
}
