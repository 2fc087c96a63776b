package chaos_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/test/stage"
)

// allLanes gives a stage three lanes with partitions of their own number each.
// Requests of several partitions of one lane share a status partition, and so do
// those of different lanes.
func allLanes(o stage.Options) stage.Options {
	o.Partitions, o.High, o.Bulk, o.StatusPartitions, o.Timeout = 12, fewest, 5, 7, timeout()
	return o
}

// fewest is how many partitions the smallest of the lanes has.
const fewest = 3

// requests are those of a test: how many of them have the id.
type requests map[string]int

// add takes requests of which no other has the id.
func (r requests) add(ids map[string]bool) requests {
	for id := range ids {
		r[id]++
	}
	return r
}

// count returns how many requests there are.
func (r requests) count() int {
	n := 0
	for _, with := range r {
		n += with
	}
	return n
}

// putTwins puts n requests into each lane that nothing but the topic tells from
// those of the other lanes: they have the same partitions, offsets and
// timestamps, and one in ten has the same id too. Who takes a lane's event for
// one of another skips a request, or makes an attempt too many or too few.
// The lanes are empty before. Number i is edited so in all lanes.
func putTwins(t *testing.T, s *stage.Stage, n int, edits func(i int) map[string]any) requests {
	t.Helper()
	ids, records, now := requests{}, []*kgo.Record{}, time.Now()
	for i := range n {
		id := stage.NewID()
		for _, lane := range s.Lanes {
			ids[id]++
			records = append(records, &kgo.Record{
				Topic: s.RequestTopic(lane), Partition: int32(i % fewest), Timestamp: now.Add(time.Duration(i) * time.Millisecond),
				Value: stage.Request(s.Channel, id, edits(i)),
			})
			if i%10 > 0 {
				id = stage.NewID()
			}
		}
	}
	s.Produce(records...)
	for i, r := range records {
		if first := records[i-i%len(s.Lanes)]; r.Partition != first.Partition || r.Offset != first.Offset {
			t.Fatalf("%s/%d/%d is no twin of %s/%d/%d", r.Topic, r.Partition, r.Offset, first.Topic, first.Partition, first.Offset)
		}
	}
	return ids
}
