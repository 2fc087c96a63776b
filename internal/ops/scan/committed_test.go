package scan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
	testkafka "messaging-worker/test/kafka"
)

// writer is a producer with a transaction open.
type writer struct {
	client  *kgo.Client
	written []*kgo.Record
}

func newWriter(t *testing.T, cluster *kfake.Cluster, name string) *writer {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w := &writer{client: client}
	w.begin(t)
	return w
}

func (w *writer) begin(t *testing.T) {
	t.Helper()
	w.written = nil
	if err := w.client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
}

func (w *writer) write(t *testing.T, r *rand.Rand, partitions int) {
	t.Helper()
	var records []*kgo.Record
	for range r.IntN(5) {
		records = append(records, &kgo.Record{
			Topic: "events", Partition: int32(r.IntN(partitions)), Key: []byte("k"), Value: fmt.Append(nil, r.Uint32()),
			Timestamp: time.UnixMilli(1_700_000_000_000),
		})
	}
	if err := w.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.written = append(w.written, records...)
}

func (w *writer) end(t *testing.T, how kgo.TransactionEndTry) {
	t.Helper()
	if err := w.client.EndTransaction(t.Context(), how); err != nil {
		t.Fatal(err)
	}
}

// However transactions of several producers interleave: what was rolled back
// is not there, nor what lies at or behind one that is open. A single record
// is found by its place where it is there, and not otherwise.
func TestReadIsCommitted(t *testing.T) {
	t.Parallel()
	const partitions, producers = 2, 3
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	cluster := testkafka.Embedded(t, kfake.SeedTopics(partitions, "events"))
	var open []*writer
	for i := range producers {
		open = append(open, newWriter(t, cluster, fmt.Sprint("producer ", i)))
	}
	committed := map[*kgo.Record]bool{}
	for range 60 {
		w := open[r.IntN(len(open))]
		w.write(t, r, partitions)
		if r.IntN(2) == 0 {
			how := kgo.TransactionEndTry(r.IntN(2) == 0)
			w.end(t, how)
			for _, rec := range w.written {
				committed[rec] = bool(how)
			}
			w.begin(t)
		}
	}
	stable := map[int32]int64{} // where the first open transaction begins
	for _, w := range open {
		for _, rec := range w.written {
			if at, ok := stable[rec.Partition]; !ok || rec.Offset < at {
				stable[rec.Partition] = rec.Offset
			}
			committed[rec] = false
		}
	}
	topic, err := scan.Open(t.Context(), open[0].client, "events")
	if err != nil {
		t.Fatal(err)
	}
	spans, err := topic.Spans(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for rec, there := range committed {
		if at, ok := stable[rec.Partition]; ok && rec.Offset >= at {
			there = false
		}
		if there {
			want[tell(rec)] = true
		}
		got, err := topic.Record(t.Context(), rec.Partition, rec.Offset)
		if err != nil || (got != nil) != there {
			t.Errorf("Record(%d, %d) = %v, %v, want one: %v", rec.Partition, rec.Offset, got, err, there)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := map[string]bool{}
	if err := topic.Read(ctx, spans, nil, func(rec *kgo.Record) error { got[tell(rec)] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is read (-want +got):\n%s", diff)
	}
}
