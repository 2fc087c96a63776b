package e2e_test

import (
	"encoding/hex"
	"errors"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// However a commit's word on the journal was lost or has become wrong, the
// next owner finds what was done: nobody is called twice.
func TestJournalIsFoundAgain(t *testing.T) {
	t.Parallel()
	other := "mw1,00000000000000000000000000000001,0,0"
	for name, spoil := range map[string]func(t *testing.T, s *stage.Stage){
		"no metadata":      func(t *testing.T, s *stage.Stage) { t.Helper(); recommit(t, s, "") },
		"foreign metadata": func(t *testing.T, s *stage.Stage) { t.Helper(); recommit(t, s, "consumed by hand") },
		"another topic id": func(t *testing.T, s *stage.Stage) { t.Helper(); recommit(t, s, other) },
		"behind the end":   func(t *testing.T, s *stage.Stage) { t.Helper(); recommit(t, s, place(t, s, "999999")) },
		"the offset is reset": func(t *testing.T, s *stage.Stage) {
			t.Helper()
			responses, err := s.Admin.DeleteGroups(s.Ctx, s.Group())
			if err = errors.Join(err, responses.Error()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2, StatusPartitions: 1})
			ledger := filepath.Join(t.TempDir(), "ledger")
			env := map[string]string{"MOCK_LEDGER_FILE": ledger}
			// One message in each partition keeps the commit back.
			for range 20 {
				s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000"))
			}
			ids := s.PutMany(200)
			first := s.Work(env)
			s.Events(200)
			first.Stop()
			spoil(t, s)
			more := s.PutMany(50)
			s.Work(env)
			s.Events(250)
			accepted := stage.LedgerIDs(t, ledger)
			for id := range ids {
				if accepted[id] != 1 {
					t.Errorf("%s was accepted %d times, want once", id, accepted[id])
				}
			}
			for id := range more {
				if accepted[id] != 1 {
					t.Errorf("%s, which came later, was accepted %d times, want once", id, accepted[id])
				}
			}
		})
	}
}

// A status topic that got more partitions: what was done before lies in the
// partition that the commit names, and what comes goes to another.
func TestStatusTopicGrows(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2, StatusPartitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger}
	ids := map[string]bool{}
	put := func(partition int32, edits map[string]any) string {
		id := stage.NewID()
		s.Produce(&kgo.Record{Partition: partition, Value: stage.Request(s.Channel, id, edits)})
		return id
	}
	soon := put(1, stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "5000"))
	put(1, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000"))
	for range 50 {
		ids[put(1, nil)] = true
	}
	first := s.Work(env)
	s.Events(50)
	// Behind the second of these, partition 0 has no need of what is before.
	ids[put(0, nil)] = true
	s.Events(51)
	ids[put(0, nil)] = true
	s.Events(52)
	first.Stop()
	responses, err := s.Admin.UpdatePartitions(s.Ctx, 3, s.Topic("status"))
	if err = errors.Join(err, responses.Error()); err != nil {
		t.Fatal(err)
	}
	ids[soon] = true
	// The commit moves on to what still waits; the third owner needs to know
	// what the first did, too.
	second := s.Work(env)
	s.Events(53)
	second.Stop()
	ids[put(1, nil)] = true
	s.Work(env)
	s.Events(54)
	stage.DeliveredOnce(t, ledger, ids)
}

// recommit commits the same offsets with other metadata.
func recommit(t *testing.T, s *stage.Stage, metadata string) {
	t.Helper()
	now, err := s.Admin.FetchOffsets(s.Ctx, s.Group())
	if err != nil {
		t.Fatal(err)
	}
	again := kadm.Offsets{}
	now.Each(func(o kadm.OffsetResponse) {
		again.Add(kadm.Offset{Topic: o.Topic, Partition: o.Partition, At: o.At, LeaderEpoch: -1, Metadata: metadata})
	})
	if len(again) == 0 {
		t.Fatal("nothing was committed")
	}
	responses, err := s.Admin.CommitOffsets(s.Ctx, s.Group(), again)
	if err = errors.Join(err, responses.Error()); err != nil {
		t.Fatal(err)
	}
}

// place writes metadata of the status topic as it is, with another offset.
func place(t *testing.T, s *stage.Stage, offset string) string {
	t.Helper()
	topics, err := s.Admin.Metadata(s.Ctx, s.Topic("status"))
	if err != nil {
		t.Fatal(err)
	}
	id := topics.Topics[s.Topic("status")].ID
	return "mw1," + hex.EncodeToString(id[:]) + ",0," + offset
}
