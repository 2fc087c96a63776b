package journal_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka/journal"
	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// A long journal is read to its end however long that takes; one that comes
// no further is given up.
func TestPatienceIsForProgress(t *testing.T) {
	t.Parallel()
	const patience, events = time.Second, 10
	for _, tt := range []struct {
		name  string
		fetch time.Duration // what each answer takes
		err   string
	}{
		{"slow", patience * 4 / 5, ""},
		{"stalled", 2 * patience, "no progress for 1s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cluster, client := quiet(t)
				for n := range int64(events) {
					produce(t, client, n)
				}
				cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
					time.Sleep(tt.fetch) // of the bubble's clock
					return nil, nil, false
				})
				r := &journal.Reader{Client: client, Requests: "request", StatusTopic: "status", Patience: patience}
				found, n, err := r.Read(t.Context(), []journal.Want{{Committed: -1}})
				switch {
				case tt.err != "":
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Errorf("Read = %v, want an error with %q", err, tt.err)
					}
				case err != nil:
					t.Fatal(err)
				case n != events || found[0].Fold.Len() != events:
					t.Errorf("read %d records of %d requests, want %d", n, found[0].Fold.Len(), events)
				}
			})
		})
	}
}

// quiet starts a broker on a network in memory, and returns how to reach it:
// one batch at a time.
func quiet(t *testing.T) (*kfake.Cluster, []kgo.Opt) {
	t.Helper()
	var network kfake.VirtualNetwork
	cluster := testkafka.Embedded(t, kfake.ListenFn(network.Listen), kfake.Ports(9092), kfake.SeedTopics(1, "request", "status"))
	return cluster, []kgo.Opt{
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext), kgo.FetchMaxPartitionBytes(1), kgo.FetchMaxBytes(1),
	}
}

// produce writes a request and its sent event.
func produce(t *testing.T, opts []kgo.Opt, offset int64) {
	t.Helper()
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	number := string('0' + byte(offset))
	err = client.ProduceSync(context.Background(), &kgo.Record{Topic: "request", Value: []byte("{}")}, &kgo.Record{
		Topic: "status", Value: []byte(`{"event_type":"sent","attempt":1}`), Headers: []kgo.RecordHeader{
			{Key: models.HeaderSourceTopic, Value: []byte("request")},
			{Key: models.HeaderSourcePartition, Value: []byte("0")},
			{Key: models.HeaderSourceOffset, Value: []byte(number)},
			{Key: models.HeaderSourceTimestamp, Value: []byte("1")},
		},
	}).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
}

// Behind the last request of a transaction stands its marker, which is no
// request: a commit of what follows the request, by whoever, ends there.
func TestNothingBehindTheCommitButAMarker(t *testing.T) {
	t.Parallel()
	reach, producer := upstream(t)
	if err := producer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := producer.ProduceSync(t.Context(), kgo.StringRecord("{}")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := producer.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	r := &journal.Reader{Client: reach, Requests: "request", StatusTopic: "status", Patience: 10 * time.Second}
	found, _, err := r.Read(t.Context(), []journal.Want{{Committed: 1, Metadata: "another tool's"}})
	if err != nil || found[0].Start != 1 {
		t.Errorf("Read = %v, %v, want to go on at the marker", found, err)
	}
}

// Where no request is left to go on with, nothing is read: however much others
// have written into the status partition since the commit, or if there was none.
func TestNothingLeftToGoOnWith(t *testing.T) {
	t.Parallel()
	const requests = 3
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "request", "status", "empty"))
	reach := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	for n := range int64(requests) {
		produce(t, reach, n)
	}
	read := func(topic string, w journal.Want) (journal.Found, int) {
		t.Helper()
		r := &journal.Reader{Client: reach, Requests: topic, StatusTopic: "status", Patience: 10 * time.Second}
		found, n, err := r.Read(t.Context(), []journal.Want{w})
		if err != nil {
			t.Fatal(err)
		}
		return found[0], n
	}
	first, n := read("request", journal.Want{Committed: -1, Group: true})
	if n != requests || first.From.Offset != 0 {
		t.Errorf("at first: read %d events from %d on, want all", n, first.From.Offset)
	}
	// What it found is what the first commit says: to read from 0 on.
	metadata := journal.Commit{Position: first.From}.String()
	for committed, want := range map[int64]int{0: requests, requests - 1: requests, requests: 0} {
		found, n := read("request", journal.Want{Committed: committed, Metadata: metadata, Group: true})
		from := int64(0)
		if want == 0 {
			from = requests
		}
		if n != want || found.Start != committed || found.From.Offset != from {
			t.Errorf("committed %d of %d: read %d events from %d on, goes on at %d; want %d from %d on", committed, requests, n, found.From.Offset, found.Start, want, from)
		}
	}
	if found, n := read("empty", journal.Want{Committed: -1, Group: true}); n != 0 || found.Start != 0 || found.From.Offset != requests {
		t.Errorf("of an empty topic: read %d events, from %d on, goes on at %d", n, found.From.Offset, found.Start)
	}
	if found, n := read("request", journal.Want{Committed: requests, Metadata: "another tool's", Group: true}); n != requests || !found.Foreign {
		t.Errorf("committed by another tool: read %d events, want those that tell what it has passed", n)
	}
}
