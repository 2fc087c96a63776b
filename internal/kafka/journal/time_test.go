package journal_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// strangeTimes are timestamps that no clock gave.
func strangeTimes() []int64 {
	return []int64{
		math.MinInt64, -4, -2, -1, 0, 9 * 60 * 1000, 3_600_000, time.Now().Unix(), time.Now().Add(48 * time.Hour).UnixMilli(),
		time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli(), time.Now().UnixMicro(), math.MaxInt64,
	}
}

// A request may have any timestamp: what was done to it is found, also where
// the commit does not say where to look.
func TestRequestsOfAnyTime(t *testing.T) {
	t.Parallel()
	times := strangeTimes()
	topics := kfake.SeedTopics(int32(len(times)), "request", "status")
	cluster := testkafka.Embedded(t, topics)
	reach := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	producer, err := kgo.NewClient(append(reach, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	var wants []journal.Want
	for i, ms := range times {
		partition := int32(i)
		event := &kgo.Record{
			Topic: "status", Partition: partition, Value: []byte(`{"event_type":"sent","attempt":1}`), Headers: []kgo.RecordHeader{
				{Key: models.HeaderSourceTopic, Value: []byte("request")},
				{Key: models.HeaderSourcePartition, Value: strconv.AppendInt(nil, int64(partition), 10)},
				{Key: models.HeaderSourceOffset, Value: []byte("0")},
				{Key: models.HeaderSourceTimestamp, Value: strconv.AppendInt(nil, ms, 10)},
			},
		}
		request := &kgo.Record{Topic: "request", Partition: partition, Value: []byte("{}"), Timestamp: time.UnixMilli(ms)}
		if err := producer.ProduceSync(t.Context(), request, event).FirstErr(); err != nil {
			t.Fatal(err)
		}
		wants = append(wants, journal.Want{Partition: partition, Metadata: "another tool's"})
	}
	r := &journal.Reader{Client: reach, Requests: "request", StatusTopic: "status", Patience: time.Minute}
	found, _, err := r.Read(t.Context(), wants)
	if err != nil {
		t.Fatal(err)
	}
	for i, ms := range times {
		if _, finished := found[int32(i)].Fold.Look(journal.Key{Timestamp: ms}); !finished {
			t.Errorf("a request of time %d is not known to be finished", ms)
		}
	}
}
