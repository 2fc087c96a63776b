package e2e_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// mirrored is how a mirror's copy differs from its origin.
type mirrored struct {
	name     string
	renamed  bool // as MirrorMaker does by default
	shifted  bool // by one record that came before
	restamp  bool // as a topic with LogAppendTime does
	finished int  // messages whose status events have been mirrored
	again    int  // messages that are sent again
}

// What of a mirrored request topic is sent again is what docs/scaling.md says:
// only a copy with the topic's name, offsets and timestamps is known by the
// events, and of that one everything whose events were not mirrored in time.
func TestMirroredRequests(t *testing.T) {
	t.Parallel()
	const messages = 10
	origin := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	ids := map[string]bool{}
	for i := range messages {
		// Each in a millisecond of its own, without which a copy with other
		// offsets may be taken for its neighbour.
		id := stage.NewID()
		ids[id] = true
		origin.Produce(&kgo.Record{
			Key: []byte(id), Value: stage.Request(origin.Channel, id, nil), Timestamp: time.Now().Add(time.Duration(i-messages) * time.Second),
		})
	}
	w := origin.Work(map[string]string{"WORKER_CONCURRENCY": "1"})
	var events []stage.Event
	for _, of := range origin.Events(messages) {
		events = append(events, of...)
	}
	slices.SortFunc(events, func(a, b stage.Event) int { return cmp.Compare(a.Record.Offset, b.Record.Offset) })
	origin.Committed()
	w.Stop()
	var requests []*kgo.Record
	origin.Follow(origin.Topic("request"), func(r *kgo.Record) bool {
		requests = append(requests, r)
		return len(requests) == messages
	})

	tests := []mirrored{
		{name: "exact", finished: messages, again: 0},
		{name: "status behind", finished: 6, again: 4},
		{name: "no status", finished: 0, again: messages},
		{name: "other topic name", renamed: true, finished: messages, again: messages},
		{name: "other offsets", shifted: true, finished: messages, again: messages},
		{name: "other timestamps", restamp: true, finished: messages, again: messages},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := mirror(t, origin, tt, requests, events)
			ledger := filepath.Join(t.TempDir(), "ledger")
			if err := os.WriteFile(ledger, nil, 0o600); err != nil { // where nothing is sent, the mock writes none
				t.Fatal(err)
			}
			m.Work(map[string]string{"MOCK_LEDGER_FILE": ledger})
			m.Committed()
			again := 0
			for id := range stage.LedgerIDs(t, ledger) {
				if ids[id] {
					again++
				}
			}
			if again != tt.again {
				t.Errorf("%d messages were sent again, want %d", again, tt.again)
			}
		})
	}
}

// mirror makes a cluster of its own with the copies.
func mirror(t *testing.T, origin *stage.Stage, tt mirrored, requests []*kgo.Record, events []stage.Event) *stage.Stage {
	t.Helper()
	broker := kafka.Embedded(t)
	m := stage.New(t, origin.Channel, stage.Options{Brokers: broker.ListenAddrs(), NoTopics: true})
	if m.Name = origin.Name; tt.renamed {
		m.Name = "origin." + origin.Name
	}
	m.CreateTopics(stage.Options{Partitions: 1})
	if tt.shifted {
		m.PutMany(1)
	}
	var records []*kgo.Record
	take := func(kind string, r *kgo.Record) *kgo.Record {
		copied := &kgo.Record{Topic: m.Topic(kind), Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
		records = append(records, copied)
		return copied
	}
	for _, r := range requests {
		if copied := take("request", r); tt.restamp {
			copied.Timestamp = r.Timestamp.Add(time.Millisecond)
		}
	}
	finished := 0
	for _, e := range events {
		if finished == tt.finished {
			break
		}
		take("status", e.Record)
		if e.Final() {
			finished++
		}
	}
	if err := m.Client.ProduceSync(m.Ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return m
}
