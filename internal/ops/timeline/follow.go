package timeline

import (
	"context"
	"iter"
	"maps"

	"messaging-worker/internal/ops"
)

// Follow yields the status events of the topics, in the order of each
// partition, from now on or from their starts. A message id chooses its events
// alone; empty means all. It ends with an error, the cause of ctx's end or a
// failure to read; what is no event is left out.
func Follow(ctx context.Context, sources *ops.Sources, fromStart bool, id string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var names []string
		lanes := ops.Lanes{}
		for i, t := range sources.Topics {
			names = append(names, t.Name)
			of, err := ops.LanesInUse(ctx, sources.Client, sources.Settings[i])
			if err != nil {
				yield(Event{}, err)
				return
			}
			maps.Copy(lanes, several(of))
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
			e, ok := ParseEvent(rec)
			e.Lane = lanes[e.Source.Topic]
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}
