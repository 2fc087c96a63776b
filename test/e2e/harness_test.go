package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// patience bounds every wait. It is long because the machine may be slow, and
// costs nothing because waits end as soon as they can.
const patience = 90 * time.Second

// stage is one channel's topics and group on the broker, for one test.
type stage struct {
	t       *testing.T
	ctx     context.Context
	channel models.Channel
	brokers []string
	name    string
	client  *kgo.Client // produces, asks
	admin   *kadm.Client
}

type stageOptions struct {
	brokers    []string // nil means the suite's
	partitions int32    // zero means 12
	noTopics   bool
	dlqConfig  map[string]*string
	status     map[string]*string // config of the status topic
}

func newStage(t *testing.T, channel models.Channel, o stageOptions) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	s := &stage{t: t, ctx: ctx, channel: channel, brokers: o.brokers, name: "e2e-" + randomHex(4)}
	if s.brokers == nil {
		s.brokers = suite.broker.Addresses
	}
	var err error
	s.client, err = kgo.NewClient(
		kgo.SeedBrokers(s.brokers...), kgo.ProducerBatchMaxBytes(32<<20), kgo.MaxBufferedRecords(1<<20),
		kgo.RecordPartitioner(explicitOrKey{kgo.StickyKeyPartitioner(nil)}),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.admin = kadm.NewClient(s.client)
	if !o.noTopics {
		if o.partitions == 0 {
			o.partitions = 12
		}
		s.createTopics(o)
	}
	return s
}

// explicitOrKey sends a record without a key to the partition it names.
type explicitOrKey struct{ byKey kgo.Partitioner }

func (p explicitOrKey) ForTopic(topic string) kgo.TopicPartitioner {
	return explicitOrKeyTopic{p.byKey.ForTopic(topic)}
}

type explicitOrKeyTopic struct{ kgo.TopicPartitioner }

func (p explicitOrKeyTopic) Partition(r *kgo.Record, n int) int {
	if r.Key == nil {
		return int(r.Partition) % n
	}
	return p.TopicPartitioner.Partition(r, n)
}

func (s *stage) createTopics(o stageOptions) {
	s.t.Helper()
	large := "16777216"
	big := map[string]*string{"max.message.bytes": &large}
	dlq := o.dlqConfig
	if dlq == nil {
		dlq = big
	}
	for topic, conf := range map[string]map[string]*string{s.topic("request"): big, s.topic("status"): o.status, s.topic("dlq"): dlq} {
		if _, err := s.admin.CreateTopic(s.ctx, o.partitions, 1, conf, topic); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *stage) topic(kind string) string { return s.name + "." + kind }
func (s *stage) group() string            { return s.name + "-group" }

// env is a worker's settings; extra wins.
func (s *stage) env(extra map[string]string) []string {
	upper := strings.ToUpper(string(s.channel))
	settings := map[string]string{
		"APP_ENV": "production", "APP_PORT": "0", "APP_HOST": "127.0.0.1", "LOG_LEVEL": "debug",
		"KAFKA_BROKERS":                     strings.Join(s.brokers, ","),
		"KAFKA_" + upper + "_REQUEST_TOPIC": s.topic("request"),
		"KAFKA_" + upper + "_STATUS_TOPIC":  s.topic("status"),
		"KAFKA_" + upper + "_DLQ_TOPIC":     s.topic("dlq"),
		upper + "_CONSUMER_GROUP":           s.group(),
		"BASE_BACKOFF_SECONDS":              "0.05",
		"MAX_BACKOFF_SECONDS":               "0.2",
		"PROVIDER_TIMEOUT_SECONDS":          "1",
		"KAFKA_SESSION_TIMEOUT_SECONDS":     "6",
	}
	maps.Copy(settings, extra)
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env
}

// proc is a running worker.
type proc struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *proc) logs() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// work starts a worker; a test's end kills it if it still runs.
func (s *stage) work(extra map[string]string) *proc {
	s.t.Helper()
	p := &proc{t: s.t, done: make(chan error, 1)}
	p.cmd = exec.Command(filepath.Join(suite.bin, string(s.channel)+"-worker"))
	p.cmd.Env, p.cmd.Stderr, p.cmd.Stdout = s.env(extra), p, p
	p.cmd.Dir = s.t.TempDir()
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if s.t.Failed() {
			logs := p.logs()
			s.t.Logf("the worker's log:\n%s", logs[max(0, len(logs)-6000):])
		}
	})
	return p
}

// eventually waits until ok returns "".
func eventually(t *testing.T, ok func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		why := ok()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v: %s", patience, why)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// url returns the worker's HTTP address once it has logged it.
func (p *proc) url() string {
	p.t.Helper()
	var address string
	eventually(p.t, func() string {
		for line := range strings.Lines(p.logs()) {
			var l struct{ HTTP string }
			if json.Unmarshal([]byte(line), &l) == nil && l.HTTP != "" {
				address = l.HTTP
				return ""
			}
		}
		return "the worker has not logged its http address"
	})
	return "http://" + address
}

func (p *proc) get(path string) (int, string) {
	resp, err := http.Get(p.url() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func (p *proc) waitReady(want int) (body string) {
	p.t.Helper()
	eventually(p.t, func() string {
		code, b := p.get("/healthz/ready")
		if body = b; code == want {
			return ""
		}
		return fmt.Sprintf("ready is %d %s, want %d", code, b, want)
	})
	return body
}

// exit waits for the worker's end and returns its code.
func (p *proc) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatal("the worker does not end")
		return -1
	}
}

func (p *proc) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// request makes a valid request of the channel; edits replace its members,
// and nil removes one.
func request(channel models.Channel, id string, edits map[string]any) []byte {
	m := map[string]any{
		"message_id": id, "channel": channel, "created_at": "2025-10-16T09:30:00Z",
		"from": "+15551234567", "to": []string{"+15557654321"}, "body": map[string]string{"content": "hello"},
	}
	if channel == models.Email {
		m["from"], m["to"], m["subject"] = "noreply@example.com", []string{"user@example.com"}, "Welcome"
	}
	for name, value := range edits {
		if m[name] = value; value == nil {
			delete(m, name)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func hints(pairs ...string) map[string]any {
	meta := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		meta[pairs[i]] = pairs[i+1]
	}
	return map[string]any{"meta": meta}
}

// put produces a request under its id.
func (s *stage) put(id string, value []byte) {
	s.t.Helper()
	s.produce(&kgo.Record{Key: []byte(id), Value: value})
}

// produce writes records to the request topic and waits.
func (s *stage) produce(records ...*kgo.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = s.topic("request")
	}
	if err := s.client.ProduceSync(s.ctx, records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// putMany produces that many plain requests and returns their ids.
func (s *stage) putMany(n int) map[string]bool {
	s.t.Helper()
	ids, records := map[string]bool{}, make([]*kgo.Record, 0, n)
	for range n {
		id := newID()
		ids[id] = true
		records = append(records, &kgo.Record{Key: []byte(id), Value: request(s.channel, id, nil)})
	}
	s.produce(records...)
	return ids
}

// event is a status event with its record.
type event struct {
	models.StatusEvent

	record *kgo.Record
}

func (e event) source() string {
	var parts []string
	for _, name := range []string{"source-topic", "source-partition", "source-offset"} {
		parts = append(parts, header(e.record, name))
	}
	return strings.Join(parts, "/")
}

func (e event) final() bool {
	return e.EventType == models.EventSent || e.EventType == models.EventFailed
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// follow reads a topic from its start until enough says so.
func (s *stage) follow(topic string, enough func(r *kgo.Record) bool) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for done := false; !done; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			s.t.Fatalf("waited %v for %s", patience, topic)
		}
		fetches.EachRecord(func(r *kgo.Record) { done = enough(r) || done })
	}
}

// events reads status events until that many are final, by message id.
func (s *stage) events(finals int) map[string][]event {
	s.t.Helper()
	byID, seen := map[string][]event{}, 0
	if finals == 0 {
		return byID
	}
	s.follow(s.topic("status"), func(r *kgo.Record) bool {
		var ev models.StatusEvent
		if err := json.Unmarshal(r.Value, &ev); err != nil {
			s.t.Errorf("a status event is not JSON: %v", err)
		}
		e := event{ev, r}
		byID[ev.MessageID] = append(byID[ev.MessageID], e)
		if e.final() {
			seen++
		}
		return seen >= finals
	})
	return byID
}

// letter is a dead letter with its record.
type letter struct {
	models.DLQRecord

	record *kgo.Record
	wire   map[string]json.RawMessage
}

// letters reads that many dead letters, by message id.
func (s *stage) letters(n int) map[string][]letter {
	s.t.Helper()
	byID, seen := map[string][]letter{}, 0
	if n == 0 {
		return byID
	}
	s.follow(s.topic("dlq"), func(r *kgo.Record) bool {
		rec, err := models.DecodeDLQRecord(r.Value)
		if err != nil {
			s.t.Errorf("a dead letter: %v", err)
		}
		l := letter{DLQRecord: rec, record: r}
		if err := json.Unmarshal(r.Value, &l.wire); err != nil {
			s.t.Errorf("a dead letter is not JSON: %v", err)
		}
		byID[rec.MessageID] = append(byID[rec.MessageID], l)
		seen++
		return seen >= n
	})
	return byID
}

// sequence writes a message's events in short: "queued 0, attempt 1, sent 1".
func sequence(events []event) string {
	var parts []string
	for _, e := range events {
		parts = append(parts, string(e.EventType)+" "+strconv.Itoa(e.Attempt))
	}
	return strings.Join(parts, ", ")
}

// committed waits until the group's offsets have reached the log's end.
func (s *stage) committed() {
	s.t.Helper()
	eventually(s.t, func() string {
		lags, err := s.admin.Lag(s.ctx, s.group())
		if err != nil {
			return err.Error()
		}
		if err := lags.Error(); err != nil {
			return err.Error()
		}
		l := lags[s.group()]
		ends, err := s.admin.ListEndOffsets(s.ctx, s.topic("request"))
		if err != nil {
			return err.Error()
		}
		for partition, end := range ends[s.topic("request")] {
			at := int64(0)
			if m, ok := l.Lag.Lookup(s.topic("request"), partition); ok {
				at = max(m.Commit.At, 0)
			}
			if end.Offset > 0 && at != end.Offset {
				return fmt.Sprintf("partition %d is committed to %d of %d", partition, at, end.Offset)
			}
		}
		return ""
	})
}

func newID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
