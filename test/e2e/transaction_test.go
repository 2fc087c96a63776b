package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

const longTransaction = 10 * time.Minute

// idsOf returns the message ids of requests.
func idsOf(t *testing.T, records ...*kgo.Record) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for _, r := range records {
		var request struct {
			ID string `json:"message_id"`
		}
		if err := json.Unmarshal(r.Value, &request); err != nil {
			t.Fatal(err)
		}
		ids[request.ID] = true
	}
	return ids
}

// stableEnd returns where partition 0 of the requests ends for a reader of
// committed records.
func stableEnd(t *testing.T, s *stage.Stage) int64 {
	t.Helper()
	ends, err := s.Admin.ListCommittedOffsets(s.Ctx, s.Topic("request"))
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup(s.Topic("request"), 0)
	return end.Offset
}

// groupAt waits until the group has committed that offset of partition 0.
func groupAt(t *testing.T, s *stage.Stage, want int64) {
	t.Helper()
	stage.Eventually(t, func() string {
		offsets, err := s.Admin.FetchOffsets(s.Ctx, s.Group())
		if err != nil {
			return err.Error()
		}
		if at, ok := offsets.Lookup(s.Topic("request"), 0); !ok || at.At != want {
			return fmt.Sprintf("committed %v, want %d", at.At, want)
		}
		return ""
	})
}

// lagGone waits until the worker says that nothing waits.
func lagGone(t *testing.T, w *stage.Worker, partitions int) {
	t.Helper()
	stage.Eventually(t, func() string {
		_, body := w.Get("/metrics")
		known := 0
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "messaging_consumer_lag{") {
				continue
			}
			if known++; !strings.HasSuffix(line, "} 0\n") {
				return line
			}
		}
		if known != partitions {
			return fmt.Sprintf("the lag of %d partitions is known", known)
		}
		return ""
	})
}

// unseen checks that no event speaks of these messages and that nobody was
// reached with them.
func unseen(t *testing.T, s *stage.Stage, ledger string, ids map[string]bool, what string) {
	t.Helper()
	events, reached := s.SoFar(), stage.LedgerIDs(t, ledger)
	for id := range ids {
		if len(events[id]) > 0 || reached[id] > 0 {
			t.Errorf("%s has the events %q and was delivered %d times: %s", id, stage.Sequence(events[id]), reached[id], what)
		}
	}
}

// A producer that writes in transactions: what it rolls back is not there,
// what is open waits, and what is committed is sent. In the end nothing lags,
// for the worker nor for the group, though markers stand behind the last
// request. With both ways to commit.
func TestTransactions(t *testing.T) {
	t.Parallel()
	for _, atLeastOnce := range []string{"true", "false"} {
		t.Run("COMMIT_ON_SUCCESS_ONLY="+atLeastOnce, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
			ledger := filepath.Join(t.TempDir(), "ledger")
			env := map[string]string{"MOCK_LEDGER_FILE": ledger, "COMMIT_ON_SUCCESS_ONLY": atLeastOnce}
			w := s.Work(env)
			u := s.Upstream("upstream", longTransaction)

			rolledBack, committed := s.Requests(2, 0), s.Requests(5, 0)
			u.Begin(rolledBack...)
			u.End(kgo.TryAbort)
			groupAt(t, s, 3) // though there was nothing to do
			u.Begin(committed...)
			u.End(kgo.TryCommit)
			s.Events(5)
			s.Committed()
			lagGone(t, w, 2)

			open, behind, elsewhere := s.Requests(2, 0), s.Requests(1, 0), s.Requests(1, 1)
			u.Begin(open...)
			s.Produce(behind...)
			s.Produce(elsewhere...)
			s.Events(6)
			stable := stableEnd(t, s)
			groupAt(t, s, stable)
			lagGone(t, w, 2)
			unseen(t, s, ledger, idsOf(t, rolledBack...), "it was rolled back")
			unseen(t, s, ledger, idsOf(t, append(open, behind...)...), "a transaction is open there")

			w.Stop() // the next one begins in front of the open transaction
			w = s.Work(env)
			u.End(kgo.TryCommit)
			s.Events(9)
			s.Committed()
			lagGone(t, w, 2)
			unseen(t, s, ledger, idsOf(t, rolledBack...), "it was rolled back")
			want := idsOf(t, append(append(committed, open...), append(behind, elsewhere...)...)...)
			stage.DeliveredOnce(t, ledger, want)
		})
	}
}

// A partition that holds nothing but what was rolled back, an offset that lies
// in the midst of it, one of another group's tool without our metadata, and a
// log that was cut there: all come to the log's end, and nothing is sent.
func TestNothingButWhatWasRolledBack(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, s *stage.Stage){
		"never committed":                  func(*testing.T, *stage.Stage) {},
		"committed in its midst":           func(_ *testing.T, s *stage.Stage) { s.Commit(3) },
		"committed in front of the marker": func(_ *testing.T, s *stage.Stage) { s.Commit(5) },
		"out of range": func(t *testing.T, s *stage.Stage) {
			t.Helper()
			s.Commit(1)
			var o kadm.Offsets
			o.AddOffset(s.Topic("request"), 0, 3, -1)
			if _, err := s.Admin.DeleteRecords(s.Ctx, o); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
			ledger := filepath.Join(t.TempDir(), "ledger")
			u := s.Upstream("upstream", longTransaction)
			rolledBack := s.Requests(5, 0)
			u.Begin(rolledBack...)
			u.End(kgo.TryAbort)
			prepare(t, s)
			w := s.Work(map[string]string{"MOCK_LEDGER_FILE": ledger})
			groupAt(t, s, 6)
			lagGone(t, w, 1)
			after := s.Requests(1, 0)
			s.Produce(after...)
			s.Events(1)
			s.Committed()
			unseen(t, s, ledger, idsOf(t, rolledBack...), "it was rolled back")
			if n := stage.Lines(ledger); n != 1 {
				t.Errorf("%d deliveries, want the one request behind", n)
			}
		})
	}
}

// A commit without our word on the journal lies where a transaction is open,
// or was rolled back: neither keeps the partition from its start, and nothing
// that is finished is sent again.
func TestLostPlaceBesideTransactions(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger}
	u := s.Upstream("upstream", longTransaction)
	days := strconv.FormatInt((48 * time.Hour).Milliseconds(), 10)
	if _, err := s.Admin.AlterTopicConfigs(s.Ctx, []kadm.AlterConfig{{Name: "message.timestamp.after.max.ms", Value: &days}}, s.Topic("request")); err != nil {
		t.Fatal(err)
	}
	far := s.Requests(2, 0)
	for _, r := range far {
		r.Timestamp = time.Now().Add(24 * time.Hour) // as if all events had come before it
	}
	u.Begin(far...)
	u.End(kgo.TryAbort)
	done := s.Requests(3, 0)
	s.Produce(done...)
	first := s.Work(env)
	s.Events(3)
	s.Committed()
	first.Stop()
	s.Commit(0) // an operator's reset
	open := s.Requests(1, 0)
	u.Begin(open...)
	second := s.Work(env)
	groupAt(t, s, stableEnd(t, s))
	second.Stop()
	recommit(t, s, "consumed by hand")
	s.Work(env) // nothing but the open transaction is in front of it
	u.End(kgo.TryCommit)
	s.Events(4)
	s.Committed()
	want := idsOf(t, done...)
	maps.Copy(want, idsOf(t, open...))
	stage.DeliveredOnce(t, ledger, want)
}

// The status topic is read to its end whatever transactions others have there.
func TestForeignTransactionsInTheJournal(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger}
	ids := s.PutMany(3)
	first := s.Work(env)
	s.Events(3)
	for _, how := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		u := s.Upstream(fmt.Sprint("foreign ", how), longTransaction)
		u.BeginOn(s.Topic("status"), &kgo.Record{Value: []byte(`{"note":"foreign"}`)})
		u.End(how)
	}
	s.Upstream("open", longTransaction).BeginOn(s.Topic("status"), &kgo.Record{Value: []byte(`{"note":"foreign"}`)})
	maps.Copy(ids, s.PutMany(2))
	s.Events(5)
	first.Stop()
	s.Commit(0)
	maps.Copy(ids, s.PutMany(1))
	s.Work(env)
	s.Events(6)
	s.Committed()
	stage.DeliveredOnce(t, ledger, ids)
}
