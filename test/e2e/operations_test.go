package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
)

const sigTerm = syscall.SIGTERM

// A broker that is away at the start is not fatal: the worker says why it is
// not ready, and works once the broker is there.
func TestBrokerArrivesLate(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stageOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := s.work(map[string]string{"KAFKA_BROKERS": address})
	body := p.waitReady(http.StatusServiceUnavailable)
	if !strings.Contains(body, `"kafka":{"status":"unavailable"`) {
		t.Errorf("ready says %s, want kafka unavailable", body)
	}
	if code, _ := p.get("/healthz/live"); code != http.StatusOK {
		t.Errorf("live is %d while the broker is away, want 200", code)
	}
	eventually(t, func() string {
		if !strings.Contains(p.logs(), "brokers do not answer") {
			return "the log does not say why it is not ready"
		}
		return ""
	})
	forward(t, address, s.brokers[0])
	p.waitReady(http.StatusOK)
	id := newID()
	s.put(id, request(s.channel, id, nil))
	if got, want := sequence(s.events(1)[id]), "queued 0, attempt 1, sent 1"; got != want {
		t.Errorf("events %s, want %s", got, want)
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
	s := newStage(t, models.WhatsApp, stageOptions{noTopics: true})
	p := s.work(nil)
	eventually(t, func() string {
		for _, kind := range []string{"request", "status", "dlq"} {
			if _, body := p.get("/healthz/ready"); !strings.Contains(body, "topic "+s.topic(kind)+" does not exist") {
				return "ready does not name the missing topics: " + body
			}
		}
		return ""
	})
	s.createTopics(stageOptions{partitions: 4})
	p.waitReady(http.StatusOK)
	id := newID()
	s.put(id, request(s.channel, id, nil))
	if got, want := sequence(s.events(1)[id]), "queued 0, attempt 1, sent 1"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}

// SIGTERM in the middle of traffic: calls under way end, the exit code is 0,
// and a second worker finishes what the first left. Nothing is lost.
func TestStopAndGoOn(t *testing.T) {
	t.Parallel()
	const total = 600
	s := newStage(t, models.SMS, stageOptions{partitions: 4})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"WORKER_CONCURRENCY": "20", "MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.5"}
	var records []*kgo.Record
	ids := map[string]bool{}
	for i := range total {
		id := newID()
		ids[id] = true
		edits := map[string]any(nil)
		if i%10 == 0 {
			edits = hints("scenario", "transient", "scenario_failures", "1")
		}
		records = append(records, &kgo.Record{Key: []byte(id), Value: request(s.channel, id, edits)})
	}
	s.produce(records...)
	p := s.work(env)
	s.events(total / 10)
	p.signal(sigTerm)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d after SIGTERM, want 0", code)
	}
	done := 0
	for _, events := range s.soFar() {
		if events[len(events)-1].final() {
			done++
		}
	}
	if done == total {
		t.Fatal("the first worker did everything: the test shows nothing")
	}
	// What the first worker called before it stopped must be known: the calls
	// in the ledger and the messages that are sent are the same.
	if calls := len(ledgerIDs(t, ledger)); calls != done {
		t.Errorf("%d messages accepted by the provider, %d sent at the exit: a call's outcome was lost", calls, done)
	}
	env["MOCK_LATENCY_SECONDS"] = "0"
	s.work(env)
	s.committed()
	allDelivered(t, ledger, ids)
}

// soFar returns the status events that are there now.
func (s *stage) soFar() map[string][]event {
	s.t.Helper()
	ends, err := s.admin.ListEndOffsets(s.ctx, s.topic("status"))
	if err != nil {
		s.t.Fatal(err)
	}
	finals, total := 0, int64(0)
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	s.follow(s.topic("status"), func(r *kgo.Record) bool {
		if e := string(r.Value); strings.Contains(e, `"sent"`) || strings.Contains(e, `"failed"`) {
			finals++
		}
		total--
		return total == 0
	})
	return s.events(finals)
}

// ledgerIDs counts the lines of a ledger by message id.
func ledgerIDs(t *testing.T, path string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for line := range strings.Lines(string(data)) {
		ids[strings.Fields(line)[1]]++
	}
	return ids
}

// allDelivered checks that the provider accepted every message.
func allDelivered(t *testing.T, ledger string, ids map[string]bool) {
	t.Helper()
	accepted := ledgerIDs(t, ledger)
	for id := range ids {
		if accepted[id] == 0 {
			t.Errorf("%s was never delivered", id)
		}
	}
}

// A second worker joins in mid-traffic and the first leaves: nothing is lost,
// and nothing is delivered twice where every message finishes at once.
func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	const total = 3000
	s := newStage(t, models.Email, stageOptions{})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"WORKER_CONCURRENCY": "10", "MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.01", "LOG_LEVEL": "info"}
	first := s.work(env)
	first.waitReady(http.StatusOK)
	ids := s.putMany(total)
	second := s.work(env)
	second.waitReady(http.StatusOK)
	eventually(t, func() string {
		if !strings.Contains(second.logs(), "partitions assigned") {
			return "the second worker was given no partition"
		}
		return ""
	})
	first.signal(sigTerm)
	if code := first.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	s.committed()
	allDelivered(t, ledger, ids)
}

// While Kafka is away nothing fails, nothing is lost and the worker stays: it
// is not ready, and goes on by itself when Kafka is back.
func TestKafkaGoesAndComesBack(t *testing.T) {
	t.Parallel()
	c := kafka.Start(t, kafka.Options{})
	if !c.Controllable() {
		t.Skip("a cluster that was given is not stopped")
	}
	s := newStage(t, models.SMS, stageOptions{brokers: c.Brokers(), partitions: 4})
	p := s.work(map[string]string{"WORKER_CONCURRENCY": "20", "MOCK_LATENCY_SECONDS": "0.02"})
	p.waitReady(http.StatusOK)
	var records []*kgo.Record
	for i := range 2000 {
		id := newID()
		edits := map[string]any(nil)
		if i%20 == 0 {
			edits = hints("scenario", "transient", "scenario_failures", "1")
		}
		records = append(records, &kgo.Record{Key: []byte(id), Value: request(s.channel, id, edits)})
	}
	s.produce(records...)
	s.events(200)
	if err := c.Stop(0); err != nil {
		t.Fatal(err)
	}
	p.waitReady(http.StatusServiceUnavailable)
	if err := c.Start(0); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(s.ctx, 1); err != nil {
		t.Fatal(err)
	}
	p.waitReady(http.StatusOK)
	for id, events := range s.events(2000) {
		if last := events[len(events)-1]; last.EventType != models.EventSent {
			t.Errorf("%s: %s, want sent at the end", id, sequence(events))
		}
	}
	s.committed()
	p.signal(sigTerm)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// A committed offset that is no longer in the log: the worker goes on at the
// earliest record there is.
func TestCommittedOffsetOutOfRange(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]int64{"below the log": 2, "beyond the log": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, models.SMS, stageOptions{partitions: 1})
			var ids []string
			for range 10 {
				id := newID()
				ids = append(ids, id)
				s.put(id, request(s.channel, id, nil))
			}
			var offsets kadm.Offsets
			offsets.AddOffset(s.topic("request"), 0, commit, -1)
			if err := s.admin.CommitAllOffsets(s.ctx, s.group(), offsets); err != nil {
				t.Fatal(err)
			}
			var cut kadm.Offsets
			cut.AddOffset(s.topic("request"), 0, 5, -1)
			if _, err := s.admin.DeleteRecords(s.ctx, cut); err != nil {
				t.Fatal(err)
			}
			p := s.work(nil)
			events := s.events(5)
			for i, id := range ids {
				want := "queued 0, attempt 1, sent 1"
				if i < 5 {
					want = "" // deleted
				}
				if got := sequence(events[id]); got != want {
					t.Errorf("record %d: events %q, want %q", i, got, want)
				}
			}
			s.committed()
			if log := p.logs(); !strings.Contains(log, "out of range") || !strings.Contains(log, `"earliest_offset":5`) || !strings.Contains(log, fmt.Sprintf(`"committed_offset":%d`, commit)) {
				t.Error("the log does not tell both offsets")
			}
		})
	}
}

// At most once: the commit has passed a message before its first call, so a
// killed worker leaves it behind.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stageOptions{partitions: 1})
	env := map[string]string{"COMMIT_ON_SUCCESS_ONLY": "false", "COMMIT_INTERVAL_SECONDS": "60", "PROVIDER_TIMEOUT_SECONDS": "60", "MOCK_LEDGER_FILE": filepath.Join(t.TempDir(), "ledger")}
	first := s.work(env)
	id := newID()
	s.put(id, request(s.channel, id, hints("scenario_latency_ms", "60000")))
	s.follow(s.topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"attempt"`) })
	s.committed()
	first.signal(syscall.SIGKILL)
	first.exit()
	s.work(env)
	next := newID()
	s.put(next, request(s.channel, next, nil))
	events := s.events(1)
	if got, want := sequence(events[id]), "queued 0, attempt 1"; got != want {
		t.Errorf("the message under way at the kill: %s, want %s and nothing more", got, want)
	}
	if got, want := sequence(events[next]), "queued 0, attempt 1, sent 1"; got != want {
		t.Errorf("the next message: %s, want %s", got, want)
	}
}

// At least once: what was under way at a kill is delivered by the next owner.
func TestKilledWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stageOptions{partitions: 2})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := map[string]string{"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.02", "KAFKA_GROUP_INSTANCE_ID": s.name}
	ids := s.putMany(400)
	first := s.work(env)
	s.events(100)
	first.signal(syscall.SIGKILL)
	first.exit()
	s.work(env)
	s.committed()
	allDelivered(t, ledger, ids)
}

// Secrets and addresses stay out of the log, and a stop while messages back
// off leaves them to the next worker.
func TestStopWhileBackingOff(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.Email, stageOptions{partitions: 1})
	p := s.work(map[string]string{"LOG_LEVEL": "info", "KAFKA_SASL_PASSWORD": "hunter2-never-shown"})
	waiting, refused := newID(), newID()
	s.put(waiting, request(s.channel, waiting, hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000")))
	s.put(refused, request(s.channel, refused, hints("scenario", "permanent")))
	s.produce(&kgo.Record{Key: []byte("+15550009999"), Value: []byte("not a request")})
	if got := sequence(s.events(2)[refused]); got != "queued 0, attempt 1, failed 1" {
		t.Errorf("the refused message: %s", got)
	}
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	p.signal(sigTerm)
	select {
	case <-p.done:
	case <-ctx.Done():
		t.Fatal("a message that backs off holds up the stop")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, private := range []string{"user@example.com", "noreply@example.com", "Welcome", "hello", "hunter2", "+15550009999"} {
		if strings.Contains(p.logs(), private) {
			t.Errorf("the log shows %q", private)
		}
	}
	offsets, err := s.admin.FetchOffsets(s.ctx, s.group())
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(s.topic("request"), 0); ok && o.At > 0 {
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
				s := newStage(t, models.Email, stageOptions{})
				p := s.work(settings)
				if name == "idle" {
					p.waitReady(http.StatusOK)
				} else {
					p.waitReady(http.StatusServiceUnavailable)
				}
				p.signal(signal)
				if code := p.exit(); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
			})
		}
	}
}

// A drain that runs out of time cuts the call and says so by its exit code.
func TestDrainOutOfTime(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stageOptions{partitions: 1})
	p := s.work(map[string]string{"PROVIDER_TIMEOUT_SECONDS": "300", "SHUTDOWN_TIMEOUT_SECONDS": "1"})
	id := newID()
	s.put(id, request(s.channel, id, hints("scenario", "timeout")))
	s.follow(s.topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"attempt"`) })
	p.signal(sigTerm)
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.logs(), "drain ran out of time") {
		t.Error("nothing says that the drain ran out of time")
	}
}

// A twin with the same instance id fences the first worker, which ends and
// does not come back.
func TestFencedByATwin(t *testing.T) {
	t.Parallel()
	if !suite.broker.Real {
		t.Skip("needs Apache Kafka")
	}
	s := newStage(t, models.SMS, stageOptions{partitions: 2})
	env := map[string]string{"KAFKA_GROUP_INSTANCE_ID": s.name}
	first := s.work(env)
	first.waitReady(http.StatusOK)
	second := s.work(env)
	second.waitReady(http.StatusOK)
	if code := first.exit(); code != 1 {
		t.Errorf("exit code %d of the fenced worker, want 1", code)
	}
	if !strings.Contains(first.logs(), "KAFKA_GROUP_INSTANCE_ID") {
		t.Error("nothing says why the fenced worker ended")
	}
	id := newID()
	s.put(id, request(s.channel, id, nil))
	if got, want := sequence(s.events(1)[id]), "queued 0, attempt 1, sent 1"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
}
