package journal_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka/journal"
	testkafka "messaging-worker/test/kafka"
)

// Where the commit does not say where to read from, a request that was rolled
// back says nothing either, whatever its time; nor does one in an open
// transaction, nor one that retention has taken.
func TestPositionIsFoundByACommittedRequest(t *testing.T) {
	t.Parallel()
	reach, producer := upstream(t)
	begin := func(at time.Time) {
		t.Helper()
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := producer.ProduceSync(t.Context(), &kgo.Record{Value: []byte("{}"), Timestamp: at}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	end := func(how kgo.TransactionEndTry) {
		t.Helper()
		if err := producer.EndTransaction(t.Context(), how); err != nil {
			t.Fatal(err)
		}
	}
	read := func(committed int64) journal.Found {
		t.Helper()
		r := &journal.Reader{Client: reach, Requests: "request", StatusTopic: "status", Patience: time.Minute}
		found, _, err := r.Read(t.Context(), []journal.Want{{Committed: committed, Metadata: "another tool's"}})
		if err != nil {
			t.Fatal(err)
		}
		return found[0]
	}

	begin(time.Now().AddDate(10, 0, 0)) // offset 0, and its marker 1
	end(kgo.TryAbort)
	begin(time.Now()) // 2 and 3
	end(kgo.TryCommit)
	produce(t, reach, 2)
	begin(time.Now()) // 4, open
	if got := read(0).Fold.Len(); got != 1 {
		t.Errorf("events of %d requests found behind one that was rolled back, want 1", got)
	}
	if got := read(3); got.Start != 3 || got.Fold.Len() != 0 {
		t.Errorf("reading goes on at %d with events of %d requests, want at the marker and none", got.Start, got.Fold.Len())
	}
	var gone kadm.Offsets
	gone.AddOffset("request", 0, 2, -1)
	if _, err := kadm.NewClient(producer).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if got := read(1).Fold.Len(); got != 1 {
		t.Errorf("events of %d requests found behind what retention has taken, want 1", got)
	}
}

// upstream starts a broker with a topic of requests, which a producer writes in
// transactions.
func upstream(t *testing.T) (reach []kgo.Opt, producer *kgo.Client) {
	t.Helper()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "request", "status"))
	reach = []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	producer, err := kgo.NewClient(append(reach, kgo.TransactionalID("upstream"), kgo.DefaultProduceTopic("request"))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	return reach, producer
}
