package dlq

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
)

// Listing is the letters that a filter chose. The zero Listing has none.
type Listing struct {
	Letters []*Letter // the oldest first
	Matched int       // how many there are, those beyond a limit too
	Foreign int       // records that are no dead letters
}

// Add takes in the letters of a topic that the filter chooses, and keeps the
// newest of all, at most limit of them; zero means all.
func (l *Listing) Add(ctx context.Context, topic *scan.Topic, f *Filter, limit int) error {
	foreign, err := Each(ctx, topic, f, func(one *Letter) error {
		l.Matched++
		l.Letters = append(l.Letters, one)
		if limit > 0 && len(l.Letters) >= 2*limit+1000 { // now and then, so that memory stays bounded
			l.Letters = newest(l.Letters, limit)
		}
		return nil
	})
	l.Foreign += foreign
	l.Letters = newest(l.Letters, limit)
	return err
}

// Each calls visit for every letter of a topic that the filter chooses, in the
// order of each partition. It returns how many records are no dead letters.
func Each(ctx context.Context, topic *scan.Topic, f *Filter, visit func(*Letter) error) (foreign int, err error) {
	spans, err := topic.Spans(ctx, f.Since)
	if err != nil {
		return 0, err
	}
	err = topic.Read(ctx, spans, keys(f.IDs), func(rec *kgo.Record) error {
		l, err := Parse(rec)
		switch {
		case err != nil:
			foreign++
			return nil //nolint:nilerr // what is no dead letter is counted
		case f.Match(l):
			return visit(l)
		}
		return nil
	})
	return foreign, err
}

// keys returns a check for a few keys, nil where any will do.
func keys(ids []string) func([]byte) bool {
	if len(ids) == 0 {
		return nil
	}
	return func(key []byte) bool { return slices.Contains(ids, string(key)) }
}

func newest(letters []*Letter, limit int) []*Letter {
	sortByTime(letters)
	if limit > 0 && len(letters) > limit {
		return slices.Clone(letters[len(letters)-limit:])
	}
	return letters
}

// sortByTime sorts letters, the oldest first.
func sortByTime(letters []*Letter) {
	slices.SortStableFunc(letters, func(a, b *Letter) int {
		x, y := a.Record, b.Record
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
}

// Find returns the letters of one message: from the partition that its key
// belongs to, or else from all. The oldest is first.
func Find(ctx context.Context, topic *scan.Topic, id string) ([]*Letter, error) {
	var letters []*Letter
	for _, partitions := range [][]int32{{scan.Murmur2([]byte(id), topic.Partitions())}, nil} {
		spans, err := topic.Spans(ctx, time.Time{}, partitions...)
		if err != nil {
			return nil, err
		}
		err = topic.Read(ctx, spans, keys([]string{id}), func(rec *kgo.Record) error {
			if l, err := Parse(rec); err == nil {
				letters = append(letters, l)
			}
			return nil
		})
		if err != nil || len(letters) > 0 {
			sortByTime(letters)
			return letters, err
		}
	}
	return nil, nil
}
