package timeline

import (
	"context"
	"iter"

	"messaging-worker/internal/ops"
)

// Follow yields the status events of the topics, in the order of each
// partition, from now on or from their starts. A message id chooses its events
// alone; empty means all. It ends with an error, the cause of ctx's end or a
// failure to read; what is no event is left out.
func Follow(ctx context.Context, sources *ops.Sources, fromStart bool, id string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var names []string
		for _, t := range sources.Topics {
			names = append(names, t.Name)
		}
		follower, err := ops.Follow(ctx, sources.Client, fromStart, names...)
		if err != nil {
			yield(Event{}, err)
			return
		}
		for rec, err := range follower.Records(ctx) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			if id != "" && string(rec.Key) != id {
				continue
			}
			if e, ok := ParseEvent(rec); ok && !yield(e, nil) {
				return
			}
		}
	}
}
