package dlq

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
)

// Listing is the letters that a filter chose.
type Listing struct {
	Letters []*Letter // the oldest first
	Matched int       // how many there are, those beyond a limit too
	Foreign int       // records that are no dead letters
}

// List returns the newest letters of a topic that the filter chooses, at most
// limit of them; zero means all.
func List(ctx context.Context, topic *scan.Topic, f *Filter, limit int) (Listing, error) {
	var list Listing
	foreign, err := Each(ctx, topic, f, func(l *Letter) error {
		list.Matched++
		list.Letters = append(list.Letters, l)
		if limit > 0 && len(list.Letters) >= 2*limit+1000 { // now and then, so that memory stays bounded
			list.Letters = newest(list.Letters, limit)
		}
		return nil
	})
	list.Foreign, list.Letters = foreign, newest(list.Letters, limit)
	return list, err
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
	SortByTime(letters)
	if limit > 0 && len(letters) > limit {
		return slices.Clone(letters[len(letters)-limit:])
	}
	return letters
}

// SortByTime sorts letters, the oldest first.
func SortByTime(letters []*Letter) {
	slices.SortStableFunc(letters, func(a, b *Letter) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		if a.At.Partition != b.At.Partition {
			return int(a.At.Partition - b.At.Partition)
		}
		return int(a.At.Offset - b.At.Offset)
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
			SortByTime(letters)
			return letters, err
		}
	}
	return nil, nil
}

// Add takes in another topic's listing.
func (l *Listing) Add(other *Listing, limit int) {
	l.Letters = newest(append(l.Letters, other.Letters...), limit)
	l.Matched += other.Matched
	l.Foreign += other.Foreign
}
