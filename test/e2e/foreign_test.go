package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Something that is no worker commits past requests: the worker says which, and
// a reset to there sends them, and nothing that is finished again.
func TestForeignCommit(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger}
	ids := map[string]bool{}
	put := func(n int) {
		for i := range n {
			id := stage.NewID()
			ids[id] = true
			s.Produce(&kgo.Record{Partition: int32(i % 2), Value: stage.Request(s.Channel, id, nil)})
		}
	}
	put(40)
	w := s.Work(env)
	s.Events(40)
	s.Committed()
	w.Stop()
	put(20) // ten in each partition, at 20
	s.Commit(30, 30)
	w = s.Work(env)
	back := kadm.Offsets{}
	stage.Eventually(t, func() string {
		back = passed(w.Logs())
		if len(back[s.Topic("request")]) < 2 {
			return "the worker has not warned of both partitions"
		}
		return ""
	})
	w.Stop()
	if n := strings.Count(w.Logs(), "something that is no worker"); n != 2 || stage.Lines(ledger) != 40 {
		t.Errorf("%d warnings and %d deliveries, want one for each partition and the first forty", n, stage.Lines(ledger))
	}
	for partition, o := range back[s.Topic("request")] {
		if o.At != 20 {
			t.Errorf("partition %d: the warning begins at %d, want 20", partition, o.At)
		}
	}
	if err := s.Admin.CommitAllOffsets(s.Ctx, s.Group(), back); err != nil {
		t.Fatal(err)
	}
	s.Work(env)
	s.Events(60)
	s.Committed()
	stage.DeliveredOnce(t, ledger, ids)
}

// passed returns where the warnings of a log begin.
func passed(log string) kadm.Offsets {
	offsets := kadm.Offsets{}
	for line := range strings.Lines(log) {
		var l struct {
			Level, Topic string
			Partition    int32
			First        *int64 `json:"first_offset"`
		}
		if json.Unmarshal([]byte(line), &l) == nil && l.First != nil && l.Level == "warn" {
			offsets.Add(kadm.Offset{Topic: l.Topic, Partition: l.Partition, At: *l.First, LeaderEpoch: -1})
		}
	}
	return offsets
}
