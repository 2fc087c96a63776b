package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// One message pins its partition by a long backoff; a hundred behind it
// finish. After a kill none of them is delivered again, none of their events
// is repeated, and the attempts spent stay spent.
func TestNothingFinishedIsRepeated(t *testing.T) {
	t.Parallel()
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(end.String(), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, models.SMS, stageOptions{partitions: 1})
			ledger := filepath.Join(t.TempDir(), "ledger")
			env := map[string]string{"MOCK_LEDGER_FILE": ledger, "KAFKA_GROUP_INSTANCE_ID": s.name, "MAX_ATTEMPTS": "2"}
			pinned := newID()
			s.put(pinned, request(s.channel, pinned, hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "8000")))
			ids := s.putMany(100)
			first := s.work(env)
			s.events(100)
			first.signal(end)
			first.exit()
			s.work(env)
			events := s.events(101)
			s.committed()
			if got, want := sequence(events[pinned]), "queued 0, attempt 1, retry 1, attempt 2, sent 2"; got != want {
				t.Errorf("the pinned message: %s, want %s", got, want)
			}
			accepted := ledgerIDs(t, ledger)
			for id := range ids {
				if accepted[id] != 1 || sequence(events[id]) != "queued 0, attempt 1, sent 1" {
					t.Errorf("%s: accepted %d times, events %s, want once", id, accepted[id], sequence(events[id]))
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
	s := newStage(t, models.Email, stageOptions{partitions: 1})
	env := map[string]string{"KAFKA_GROUP_INSTANCE_ID": s.name, "MAX_ATTEMPTS": "2", "PROVIDER_TIMEOUT_SECONDS": "300"}
	id := newID()
	s.put(id, request(s.channel, id, hints("scenario", "timeout")))
	for n := 1; n <= 2; n++ {
		p := s.work(env)
		s.follow(s.topic("status"), func(r *kgo.Record) bool {
			return strings.Contains(string(r.Value), fmt.Sprintf(`"event_type":"attempt","attempt":%d`, n))
		})
		p.signal(syscall.SIGKILL)
		p.exit()
	}
	s.work(env)
	events, letters := s.events(1)[id], s.letters(1)[id]
	if got, want := sequence(events), "queued 0, attempt 1, attempt 2, failed 2"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if l := letters[0]; l.FailureType != models.FailureUnknown || l.Attempts != 2 {
		t.Errorf("dead letter %s after %d attempts, want unknown after 2", l.FailureType, l.Attempts)
	}
	s.committed()
}

// With several recipients only the open ones are called after a kill.
func TestOpenRecipientsAfterAKill(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.Email, stageOptions{partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger, "KAFKA_GROUP_INSTANCE_ID": s.name}
	id := newID()
	edits := hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", "5000")
	edits["to"] = []string{"a@example.com", "b@example.com", "a@example.com"}
	s.put(id, request(s.channel, id, edits))
	first := s.work(env)
	s.follow(s.topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"retry"`) })
	first.signal(syscall.SIGKILL)
	first.exit()
	s.work(env)
	events := s.events(1)[id]
	if got, want := sequence(events), "queued 0, attempt 1, retry 1, attempt 2, sent 2"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if n := ledgerIDs(t, ledger)[id]; n != 2 {
		t.Errorf("%d recipients accepted, want 2", n)
	}
}

// A partition that moves while one message pins it takes no duplicate along.
func TestRebalanceRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stageOptions{partitions: 6})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.01", "LOG_LEVEL": "info"}
	first := s.work(env)
	first.waitReady(http.StatusOK)
	for range 30 {
		id := newID()
		s.put(id, request(s.channel, id, hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000")))
	}
	ids := s.putMany(2000)
	second := s.work(env)
	eventually(t, func() string {
		if !strings.Contains(second.logs(), "partitions assigned") {
			return "the second worker was given no partition"
		}
		return ""
	})
	s.events(500)
	first.signal(sigTerm)
	if code := first.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	events := s.events(2000)
	accepted := ledgerIDs(t, ledger)
	for id := range ids {
		if accepted[id] != 1 || sequence(events[id]) != "queued 0, attempt 1, sent 1" {
			t.Errorf("%s: accepted %d times, events %s, want once", id, accepted[id], sequence(events[id]))
		}
	}
}

// Kill after kill at any moment: nothing is lost, and only calls that were
// under way or whose outcome was not written are made twice: no more a kill
// than slots and places ahead.
func TestKillAfterKill(t *testing.T) {
	t.Parallel()
	const total, kills, slots = 4000, 5, 100
	s := newStage(t, models.SMS, stageOptions{partitions: 4})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{
		"MOCK_LEDGER_FILE": ledger, "KAFKA_GROUP_INSTANCE_ID": s.name, "MOCK_LATENCY_SECONDS": "0.05",
		"WORKER_CONCURRENCY": strconv.Itoa(slots), "MAX_ATTEMPTS": "100", "LOG_LEVEL": "info",
	}
	ids := s.putMany(total)
	for n := 1; n <= kills; n++ {
		p := s.work(env)
		eventually(t, func() string {
			if got := lines(ledger); got < n*total/(kills+2) {
				return fmt.Sprintf("%d lines in the ledger", got)
			}
			return ""
		})
		p.signal(syscall.SIGKILL)
		p.exit()
	}
	s.work(env)
	s.committed()
	allDelivered(t, ledger, ids)
	twice := lines(ledger) - total
	t.Logf("%d kills, %d messages, %d calls made twice", kills, total, twice)
	if twice > kills*2*slots {
		t.Errorf("%d calls were made twice, want at most %d a kill", twice, 2*slots)
	}
}

// A status topic that forgets is told of at the start, and no reason to stop.
func TestStatusTopicThatForgets(t *testing.T) {
	t.Parallel()
	policy, retention := "compact,delete", "60000"
	s := newStage(t, models.SMS, stageOptions{partitions: 1, status: map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}})
	s.putMany(1)
	p := s.work(nil)
	s.events(1)
	eventually(t, func() string {
		for _, want := range []string{"cleanup.policy is compact,delete", "retention.ms is 1m0s"} {
			if !strings.Contains(p.logs(), want) {
				return "the log does not warn that " + want
			}
		}
		return ""
	})
}

// lines counts the lines of a file that may not exist yet.
func lines(path string) int {
	data, _ := os.ReadFile(path)
	return bytes.Count(data, []byte("\n"))
}
