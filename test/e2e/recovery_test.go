package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"

	"messaging-worker/test/stage"
)

// One message pins its partition by a long backoff; a hundred behind it
// finish. After a kill none of them is delivered again, none of their events
// is repeated, and the attempts spent stay spent.
func TestNothingFinishedIsRepeated(t *testing.T) {
	t.Parallel()
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(end.String(), func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
			ledger := filepath.Join(t.TempDir(), "ledger")
			env := map[string]string{"MOCK_LEDGER_FILE": ledger, "KAFKA_GROUP_INSTANCE_ID": s.Name, "MAX_ATTEMPTS": "2"}
			pinned := s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "8000"))
			ids := s.PutMany(100)
			first := s.Work(env)
			s.Events(100)
			first.Signal(end)
			first.Exit()
			s.Work(env)
			events := s.Events(101)
			s.Committed()
			stage.CheckSequence(t, "the pinned message", events[pinned], "queued 0, attempt 1, retry 1, attempt 2, sent 2")
			accepted := stage.LedgerIDs(t, ledger)
			for id := range ids {
				if accepted[id] != 1 || stage.Sequence(events[id]) != "queued 0, attempt 1, sent 1" {
					t.Errorf("%s: accepted %d times, events %s, want once", id, accepted[id], stage.Sequence(events[id]))
				}
			}
			retry, second := events[pinned][2], events[pinned][3]
			if next := retry.ProviderResponse.Meta["next_attempt_at"]; second.Timestamp.Format("2006-01-02T15:04:05") < next[:19] {
				t.Errorf("the second attempt at %v, want not before %s", second.Timestamp, next)
			}
		})
	}
}

// A request that kills its worker comes to an end: each attempt under way at
// a kill counts, and the last one ends it as unknown.
func TestRequestsThatKillTheirWorkerEnd(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{Partitions: 1})
	env := map[string]string{"KAFKA_GROUP_INSTANCE_ID": s.Name, "MAX_ATTEMPTS": "2", "PROVIDER_TIMEOUT_SECONDS": "300"}
	id := s.PutOne(stage.Hints("scenario", "timeout"))
	for n := 1; n <= 2; n++ {
		p := s.Work(env)
		s.Follow(s.Topic("status"), func(r *kgo.Record) bool {
			return strings.Contains(string(r.Value), fmt.Sprintf(`"event_type":"attempt","attempt":%d`, n))
		})
		p.Kill()
	}
	s.Work(env)
	events, letters := s.Events(1)[id], s.DeadLetters(1)[id]
	stage.CheckSequence(t, "the message", events, "queued 0, attempt 1, attempt 2, failed 2")
	if l := letters[0]; l.FailureType != models.FailureUnknown || l.Attempts != 2 {
		t.Errorf("dead letter %s after %d attempts, want unknown after 2", l.FailureType, l.Attempts)
	}
	s.Committed()
}

// With several recipients only the open ones are called after a kill.
func TestOpenRecipientsAfterAKill(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{Partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger, "KAFKA_GROUP_INSTANCE_ID": s.Name}
	edits := stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "5000")
	edits["to"] = []string{"a@example.com", "b@example.com", "a@example.com"}
	id := s.PutOne(edits)
	first := s.Work(env)
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"retry"`) })
	first.Kill()
	s.Work(env)
	events := s.Events(1)[id]
	stage.CheckSequence(t, "the message", events, "queued 0, attempt 1, retry 1, attempt 2, sent 2")
	if n := stage.LedgerIDs(t, ledger)[id]; n != 2 {
		t.Errorf("%d recipients accepted, want 2", n)
	}
}

// A kill in the middle of a round of calls: who had accepted by then is not
// called again, though no event names them yet.
func TestRoundCutInTheMiddle(t *testing.T) {
	t.Parallel()
	const slots, recipients = 2, 10
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{
		"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "2", "WORKER_CONCURRENCY": strconv.Itoa(slots),
		"KAFKA_GROUP_INSTANCE_ID": s.Name,
	}
	var to []string
	for i := range recipients {
		to = append(to, fmt.Sprintf("+1555000000%d", i))
	}
	id := s.PutOne(map[string]any{"to": to})
	first := s.Work(env)
	stage.Eventually(t, func() string {
		if got := stage.Lines(ledger); got < 3*slots {
			return fmt.Sprintf("%d recipients were reached", got)
		}
		return ""
	})
	first.Kill()
	s.Work(env)
	events := s.Events(1)[id]
	stage.CheckSequence(t, "the message", events, "queued 0, attempt 1, attempt 2, sent 2")
	// Those that had just ended may not be committed yet.
	if n := stage.Lines(ledger); n < recipients || n > recipients+slots {
		t.Errorf("%d calls accepted for %d recipients, want at most %d twice", n, recipients, slots)
	}
}

// A partition that moves while one message pins it takes no duplicate along.
func TestRebalanceRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 6})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.01", "LOG_LEVEL": "info"}
	first := s.Work(env)
	first.WaitReady(http.StatusOK)
	for range 30 {
		s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000"))
	}
	ids := s.PutMany(2000)
	second := s.Work(env)
	second.WaitLog("partitions assigned")
	s.Events(500)
	first.Stop()
	events := s.Events(2000)
	accepted := stage.LedgerIDs(t, ledger)
	for id := range ids {
		if accepted[id] != 1 || stage.Sequence(events[id]) != "queued 0, attempt 1, sent 1" {
			t.Errorf("%s: accepted %d times, events %s, want once", id, accepted[id], stage.Sequence(events[id]))
		}
	}
}

// A hand-over waits for a call under way, and nobody else does: the partition
// that stays is worked on, and the next owner makes no call again. The calls
// end when the test says so.
func TestHandOverHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	const held = 2
	provider, release := fake.Twilio(settingsAccount, settingsAccount, settingsSecret), make(chan struct{})
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= held {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		provider.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	env := map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_BASE_URL": server.URL, "TWILIO_ACCOUNT_SID": settingsAccount, "TWILIO_AUTH_TOKEN": settingsSecret,
		"PROVIDER_TIMEOUT_SECONDS": "600", "MAX_ATTEMPTS": "1", "LOG_LEVEL": "info",
	}
	put := func() {
		for p := range int32(2) {
			s.Produce(&kgo.Record{Partition: p, Value: stage.Request(s.Channel, stage.NewID(), nil)})
		}
	}
	put()
	first := s.Work(env)
	stage.Eventually(t, func() string {
		if n := calls.Load(); n < held {
			return fmt.Sprintf("%d calls are under way", n)
		}
		return ""
	})
	second := s.Work(env)
	first.WaitLog("handing partitions over")
	put()
	s.Events(1) // of the partition that stays: the calls before are under way
	close(release)
	for id, events := range s.Events(4) {
		stage.CheckSequence(t, id, events, "queued 0, attempt 1, sent 1")
	}
	s.Committed()
	for _, w := range []*stage.Worker{first, second} {
		w.Stop()
	}
	if n := calls.Load(); n != 4 || len(provider.Ledger()) != 4 {
		t.Errorf("%d calls, %d accepted, want 4", n, len(provider.Ledger()))
	}
}

// A status topic that loses events too early is logged at the start, and the
// worker goes on.
func TestStatusTopicThatForgets(t *testing.T) {
	t.Parallel()
	policy, retention := "compact,delete", "60000"
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1, Status: map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}})
	s.PutMany(1)
	p := s.Work(nil)
	s.Events(1)
	stage.Eventually(t, func() string {
		for _, want := range []string{"cleanup.policy is compact,delete", "retention.ms is 1m0s"} {
			if !strings.Contains(p.Logs(), want) {
				return "the log does not warn that " + want
			}
		}
		return ""
	})
}
