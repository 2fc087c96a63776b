package consumer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// A commit that no worker made is told once, with what it has passed: from the
// last request that an event tells of, or the log's start. One that went back
// has passed nothing.
func TestForeignCommit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		handled  int64 // the last request that has an event, or -1
		commit   int64
		metadata string
		want     string // of the line; empty for none
	}{
		{"from what was handled", 4, 12, "", `"first_offset":5,"last_offset":11`},
		{"to the end", 4, 15, "of another tool", `"first_offset":5,"last_offset":14`},
		{"nothing is known", -1, 12, "", `"first_offset":0,"last_offset":11`},
		{"went back", 14, 3, "", ""},
		{"passed nothing", 11, 12, "", ""},
		{"a worker's own", 4, 12, "mw1,00000000000000000000000000000000,0,0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 1, 1)
			for range 15 {
				s.put(0, "send")
			}
			if tt.handled >= 0 {
				s.tell(tt.handled)
			}
			s.commit(0, tt.commit, tt.metadata)
			first := s.join()
			s.await(func() bool { return first.log.count("journal read") > 0 })
			for range 15 - tt.commit {
				wait(t, first.done, "a request to be done")
			}
			warning := regexp.MustCompile(`"first_offset":\d+,"last_offset":\d+`).FindAllString(first.log.String(), -1)
			if got := strings.Join(warning, " and "); got != tt.want {
				t.Errorf("warns of %q, want %q", got, tt.want)
			}
			s.committed(0, 15)
			first.leave()
			second := s.join()
			s.await(func() bool { return second.log.count("journal read") > 0 })
			if second.log.count("first_offset") > 0 {
				t.Error("the next owner warns again")
			}
			second.leave()
		})
	}
}

// What was rolled back, and transactions' markers, are no requests that a commit
// can have passed.
func TestForeignCommitPastNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 1)
	s.put(0, "send")
	s.tell(0)
	x := s.begin("upstream")
	x.put(0, "rolled back")
	x.end(kgo.TryAbort)
	s.commit(0, s.end(0), "")
	m := s.join()
	s.await(func() bool { return m.log.count("journal read") > 0 })
	if m.log.count("first_offset") > 0 {
		t.Errorf("it warns of what was rolled back: %s", m.log.String())
	}
	m.leave()
}

// Looking for what was passed does not wait for the client's own fetches, of
// however many partitions: a look that is cut off takes what was rolled back for
// a request.
func TestForeignCommitOfManyPartitions(t *testing.T) {
	t.Parallel()
	const partitions = 24
	s := newScene(t, 1, partitions)
	for p := range int32(partitions) {
		x := s.begin("upstream")
		x.put(p, "rolled back")
		x.end(kgo.TryAbort)
		s.put(p, "send")
		s.commit(p, s.end(p), "")
	}
	m := s.join()
	s.await(func() bool { return m.log.count("journal read") > 0 })
	if n := m.log.count(`"first_offset":2,"last_offset":2`); n != partitions {
		t.Errorf("%d of %d partitions are warned of with what was passed: %s", n, partitions, m.log.String())
	}
	m.leave()
}

// tell writes the sent event of a request of partition 0.
func (s *scene) tell(offset int64) {
	s.t.Helper()
	err := s.producer.ProduceSync(s.t.Context(), &kgo.Record{
		Topic: "status", Value: []byte(`{"event_type":"sent","attempt":1}`), Headers: []kgo.RecordHeader{
			{Key: models.HeaderSourceTopic, Value: []byte("request")},
			{Key: models.HeaderSourcePartition, Value: []byte("0")},
			{Key: models.HeaderSourceOffset, Value: fmt.Append(nil, offset)},
			{Key: models.HeaderSourceTimestamp, Value: []byte("1")},
		},
	}).FirstErr()
	if err != nil {
		s.t.Fatal(err)
	}
}

// commit commits an offset for the group, which must have no members.
func (s *scene) commit(partition int32, offset int64, metadata string) {
	s.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: "request", Partition: partition, At: offset, LeaderEpoch: -1, Metadata: metadata})
	responses, err := kadm.NewClient(s.producer).CommitOffsets(s.t.Context(), "group", offsets)
	if err = errors.Join(err, responses.Error()); err != nil {
		s.t.Fatal(err)
	}
}
