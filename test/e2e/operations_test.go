package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"

	"messaging-worker/test/stage"
)

const sigTerm = syscall.SIGTERM

// A broker that is away at the start is not fatal: the worker says why it is
// not ready, and works once the broker is there.
func TestBrokerArrivesLate(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	address := freeAddress(t)
	p := s.Work(map[string]string{"KAFKA_BROKERS": address})
	body := p.WaitReady(http.StatusServiceUnavailable)
	if !strings.Contains(body, `"kafka":{"status":"unavailable"`) {
		t.Errorf("ready says %s, want kafka unavailable", body)
	}
	if code, _ := p.Get("/healthz/live"); code != http.StatusOK {
		t.Errorf("live is %d while the broker is away, want 200", code)
	}
	p.WaitLog("brokers do not answer")
	forward(t, address, s.Brokers[0])
	p.WaitReady(http.StatusOK)
	id := s.PutOne(nil)
	stage.CheckSequence(t, "the message", s.Events(1)[id], "queued 0, attempt 1, sent 1")
}

// oneInFails has one request in n fail its first attempt.
func oneInFails(n int) func(i int) map[string]any {
	return func(i int) map[string]any {
		if i%n == 0 {
			return stage.Hints("scenario", "transient", "scenario_failures", "1")
		}
		return nil
	}
}

// forward makes address lead to target.
func forward(t *testing.T, address, target string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			go func() { defer out.Close(); _, _ = io.Copy(out, in) }()
			go func() { defer in.Close(); _, _ = io.Copy(in, out) }()
		}
	}()
}

// Topics that are missing at the start are named, and used once they appear.
func TestTopicsArriveLate(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.WhatsApp, stage.Options{NoTopics: true})
	p := s.Work(nil)
	stage.Eventually(t, func() string {
		for _, kind := range []string{"request", "status", "dlq"} {
			if _, body := p.Get("/healthz/ready"); !strings.Contains(body, "topic "+s.Topic(kind)+" does not exist") {
				return "ready does not name the missing topics: " + body
			}
		}
		return ""
	})
	s.CreateTopics(stage.Options{Partitions: 4})
	p.WaitReady(http.StatusOK)
	id := s.PutOne(nil)
	stage.CheckSequence(t, "the message", s.Events(1)[id], "queued 0, attempt 1, sent 1")
}

// SIGTERM in the middle of traffic: calls under way end, the exit code is 0,
// and a second worker finishes what the first left. Nothing is lost.
func TestStopAndGoOn(t *testing.T) {
	t.Parallel()
	const total = 600
	s := stage.New(t, models.SMS, stage.Options{Partitions: 4})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"WORKER_CONCURRENCY": "20", "MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.5"}
	ids := s.PutEach(total, oneInFails(10))
	p := s.Work(env)
	s.Events(total / 10)
	p.Stop()
	done := 0
	for _, events := range s.SoFar() {
		if events[len(events)-1].Final() {
			done++
		}
	}
	if done == total {
		t.Fatal("the first worker did everything: the test shows nothing")
	}
	// What the first worker called before it stopped must be known: the calls
	// in the ledger and the messages that are sent are the same.
	if calls := len(stage.LedgerIDs(t, ledger)); calls != done {
		t.Errorf("%d messages accepted by the provider, %d sent at the exit: a call's outcome was lost", calls, done)
	}
	env["MOCK_LATENCY_SECONDS"] = "0"
	s.Work(env)
	s.Committed()
	stage.AllDelivered(t, ledger, ids)
}

// While Kafka is away nothing fails, nothing is lost and the worker stays: it
// is not ready, and goes on by itself when Kafka is back.
func TestKafkaGoesAndComesBack(t *testing.T) {
	t.Parallel()
	c := kafka.Start(t, kafka.Options{})
	if !c.Controllable() {
		t.Skip("a cluster that was given is not stopped")
	}
	s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), Partitions: 4})
	p := s.Work(map[string]string{"WORKER_CONCURRENCY": "20", "MOCK_LATENCY_SECONDS": "0.02"})
	p.WaitReady(http.StatusOK)
	s.PutEach(2000, oneInFails(20))
	s.Events(200)
	if err := c.Stop(0); err != nil {
		t.Fatal(err)
	}
	p.WaitReady(http.StatusServiceUnavailable)
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(s.Ctx, 1); err != nil {
		t.Fatal(err)
	}
	p.WaitReady(http.StatusOK)
	for id, events := range s.Events(2000) {
		if last := events[len(events)-1]; last.EventType != models.EventSent {
			t.Errorf("%s: %s, want sent at the end", id, stage.Sequence(events))
		}
	}
	s.Committed()
	p.Stop()
}

// A committed offset that is no longer in the log: the worker goes on at the
// earliest record there is.
func TestCommittedOffsetOutOfRange(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]int64{"below the log": 2, "beyond the log": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
			var ids []string
			for range 10 {
				ids = append(ids, s.PutOne(nil))
			}
			s.Commit(commit)
			var cut kadm.Offsets
			cut.AddOffset(s.Topic("request"), 0, 5, -1)
			if _, err := s.Admin.DeleteRecords(s.Ctx, cut); err != nil {
				t.Fatal(err)
			}
			p := s.Work(nil)
			events := s.Events(5)
			for i, id := range ids {
				want := "queued 0, attempt 1, sent 1"
				if i < 5 {
					want = "" // deleted
				}
				if got := stage.Sequence(events[id]); got != want {
					t.Errorf("record %d: events %q, want %q", i, got, want)
				}
			}
			s.Committed()
			if log := p.Logs(); !strings.Contains(log, "out of range") || !strings.Contains(log, `"earliest_offset":5`) || !strings.Contains(log, fmt.Sprintf(`"committed_offset":%d`, commit)) {
				t.Error("the log does not name both offsets")
			}
		})
	}
}

// At most once: the commit has passed a message before its first call, so a
// killed worker leaves it behind.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	env := map[string]string{"COMMIT_ON_SUCCESS_ONLY": "false", "COMMIT_INTERVAL_SECONDS": "60", "PROVIDER_TIMEOUT_SECONDS": "60", "MOCK_LEDGER_FILE": filepath.Join(t.TempDir(), "ledger")}
	first := s.Work(env)
	id := s.PutOne(stage.Hints("scenario_latency_ms", "60000"))
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"attempt"`) })
	s.Committed()
	first.Kill()
	s.Work(env)
	next := s.PutOne(nil)
	events := s.Events(1)
	stage.CheckSequence(t, "the message under way at the kill", events[id], "queued 0, attempt 1")
	stage.CheckSequence(t, "the next message", events[next], "queued 0, attempt 1, sent 1")
}

// At most once, the committed offset is known from the assignment on, before
// anything is committed anew.
func TestLagAtMostOnce(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	s.PutMany(3)
	s.Commit(3)
	w := s.Work(map[string]string{"COMMIT_ON_SUCCESS_ONLY": "false"})
	name := fmt.Sprintf(`messaging_consumer_lag{channel="sms",partition="0",topic=%q}`, s.Topic("request"))
	stage.Eventually(t, func() string {
		if lag, ok := metrics(t, w)[name]; !ok || lag != 0 {
			return fmt.Sprintf("lag %v (known: %v), want 0", lag, ok)
		}
		return ""
	})
}

// Secrets and addresses stay out of the log, and a stop while messages back
// off leaves them to the next worker.
func TestStopWhileBackingOff(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{Partitions: 1})
	p := s.Work(map[string]string{"LOG_LEVEL": "info", "KAFKA_SASL_PASSWORD": "hunter2-never-shown"})
	s.PutOne(stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000"))
	refused := s.PutOne(stage.Hints("scenario", "permanent"))
	s.Produce(&kgo.Record{Key: []byte("+15550009999"), Value: []byte("not a request")})
	stage.CheckSequence(t, "the refused message", s.Events(2)[refused], "queued 0, attempt 1, failed 1")
	p.Stop()
	if !strings.Contains(p.Logs(), refused) {
		t.Error("the log names no message: there is nothing to look at")
	}
	for _, private := range []string{"user@example.com", "noreply@example.com", "Welcome", "hello", "hunter2", "+15550009999"} {
		if strings.Contains(p.Logs(), private) {
			t.Errorf("the log shows %q", private)
		}
	}
	offsets, err := s.Admin.FetchOffsets(s.Ctx, s.Group())
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(s.Topic("request"), 0); ok && o.At > 0 {
		t.Errorf("offset %d is committed over an unfinished message", o.At)
	}
}

// A worker that never found its broker, and one whose group is idle, end with
// 0 on SIGTERM and on SIGINT.
func TestStopWithoutTraffic(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{"no broker": {"KAFKA_BROKERS": "127.0.0.1:1"}, "idle": nil} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			t.Run(name+" "+signal.String(), func(t *testing.T) {
				t.Parallel()
				s := stage.New(t, models.Email, stage.Options{})
				p := s.Work(settings)
				if name == "idle" {
					p.WaitReady(http.StatusOK)
				} else {
					p.WaitReady(http.StatusServiceUnavailable)
				}
				p.Signal(signal)
				if code := p.Exit(); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
			})
		}
	}
}

// A drain that runs out of time cuts the call and says so by its exit code.
func TestDrainOutOfTime(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	p := s.Work(map[string]string{"PROVIDER_TIMEOUT_SECONDS": "300", "SHUTDOWN_TIMEOUT_SECONDS": "1"})
	s.PutOne(stage.Hints("scenario", "timeout"))
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"attempt"`) })
	p.Signal(sigTerm)
	if code := p.Exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.Logs(), "drain ran out of time") {
		t.Error("nothing says that the drain ran out of time")
	}
}

// A twin with the same instance id fences the first worker, which ends and
// does not come back.
func TestFencedByATwin(t *testing.T) {
	t.Parallel()
	if !stage.Suite.Broker.Real {
		t.Skip("needs Apache Kafka")
	}
	s := stage.New(t, models.SMS, stage.Options{Partitions: 2})
	env := map[string]string{"KAFKA_GROUP_INSTANCE_ID": s.Name}
	first := s.Work(env)
	first.WaitReady(http.StatusOK)
	second := s.Work(env)
	second.WaitReady(http.StatusOK)
	if code := first.Exit(); code != 1 {
		t.Errorf("exit code %d of the fenced worker, want 1", code)
	}
	if !strings.Contains(first.Logs(), "KAFKA_GROUP_INSTANCE_ID") {
		t.Error("nothing says why the fenced worker ended")
	}
	id := s.PutOne(nil)
	stage.CheckSequence(t, "the message", s.Events(1)[id], "queued 0, attempt 1, sent 1")
}

// A request that is too old is not attempted; its dead letter says why. One
// whose only retry would come too late ends at once.
func TestTooOld(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	ledger := filepath.Join(t.TempDir(), "ledger")
	s.Work(map[string]string{"MESSAGE_MAX_AGE_SECONDS": "60", "MOCK_LEDGER_FILE": ledger})
	now := time.Now().UTC().Format(time.RFC3339)
	old, fresh := s.PutOne(nil), s.PutOne(map[string]any{"created_at": now})
	edits := stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "120000")
	edits["created_at"] = now
	late := s.PutOne(edits)
	events := s.Events(3)
	for id, want := range map[string]string{
		old: "queued 0, failed 0", fresh: "queued 0, attempt 1, sent 1", late: "queued 0, attempt 1, failed 1",
	} {
		stage.CheckSequence(t, "the message", events[id], want)
	}
	for id, letters := range s.DeadLetters(2) {
		if l := letters[0]; l.Attempts != 1 || l.FailureType != models.FailurePermanent || l.LastError != "permanent error: message expired" {
			t.Errorf("%s: dead letter %s after %d attempts: %s", id, l.FailureType, l.Attempts, l.LastError)
		}
	}
	if n := stage.LedgerIDs(t, ledger); n[old]+n[late] > 0 || n[fresh] != 1 {
		t.Errorf("delivered: old %d, late %d, fresh %d", n[old], n[late], n[fresh])
	}
}
