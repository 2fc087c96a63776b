// Package stage runs the built workers on Apache Kafka for tests that look at
// nothing but topics, exit codes, logs and HTTP answers.
package stage

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Patience bounds every wait for the next sign of progress. It is long because
// the machine may be slow, and costs nothing because waits end as soon as they
// can.
const Patience = 3 * time.Minute

// Stage is one channel's topics and groups on the broker, for one test.
type Stage struct {
	Ctx     context.Context // of the test, with a bound
	Channel models.Channel
	Lanes   []models.Lane // the most urgent first
	Brokers []string
	Name    string      // begins the names of topics and groups
	Client  *kgo.Client // produces, asks
	Admin   *kadm.Client

	t                *testing.T
	statusPartitions int32
	control          bool
}

// Options of a Stage.
type Options struct {
	Brokers          []string // nil means the suite's
	Partitions       int32    // of every topic but those below; zero means 12
	High, Bulk       int32    // of the request topics of these lanes; zero means no such lane
	StatusPartitions int32    // of the status topic; zero means Partitions
	Replication      int16    // zero means 1
	Control          bool     // there is a control topic, and workers obey it
	NoTopics         bool
	AnyTime          bool               // requests and dead letters may have any timestamp, which Kafka refuses by default
	DLQ              map[string]*string // config of the dead letter topic
	Status           map[string]*string // config of the status topic
	Timeout          time.Duration      // of the whole test; zero means fifteen minutes
}

// New makes topics of their own for a test.
func New(t *testing.T, channel models.Channel, o Options) *Stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(o.Timeout, 15*time.Minute))
	t.Cleanup(cancel)
	s := &Stage{t: t, Ctx: ctx, Channel: channel, Brokers: o.Brokers, Name: "e2e-" + RandomHex(4), control: o.Control}
	for _, lane := range models.Lanes() {
		if lane == models.LaneNormal || lane == models.LaneHigh && o.High > 0 || lane == models.LaneBulk && o.Bulk > 0 {
			s.Lanes = append(s.Lanes, lane)
		}
	}
	if s.Brokers == nil {
		s.Brokers = Suite.Broker.Addresses
	}
	var err error
	s.Client, err = kgo.NewClient(
		kgo.SeedBrokers(s.Brokers...), kgo.ProducerBatchMaxBytes(32<<20), kgo.MaxBufferedRecords(1<<20),
		kgo.RecordPartitioner(explicitOrKey{kgo.StickyKeyPartitioner(nil)}),
		kgo.UnknownTopicRetries(-1), // a topic that was just made may not be known to the broker yet
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Client.Close)
	s.Admin = kadm.NewClient(s.Client)
	if !o.NoTopics {
		if o.Partitions == 0 {
			o.Partitions = 12
		}
		s.CreateTopics(o)
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

// Env is the environment of a worker or tool; extra wins. Backoffs are short;
// limits that a test does not mean to reach are long.
func (s *Stage) Env(extra map[string]string) []string {
	upper := strings.ToUpper(string(s.Channel))
	settings := map[string]string{
		"APP_ENV": "production", "APP_PORT": "0", "APP_HOST": "127.0.0.1", "LOG_LEVEL": "debug",
		"KAFKA_BROKERS":                    strings.Join(s.Brokers, ","),
		"KAFKA_" + upper + "_STATUS_TOPIC": s.Topic("status"),
		"KAFKA_" + upper + "_DLQ_TOPIC":    s.Topic("dlq"),
		upper + "_CONSUMER_GROUP":          s.Group(),
		"BASE_BACKOFF_SECONDS":             "0.05",
		"MAX_BACKOFF_SECONDS":              "0.2",
		"PROVIDER_TIMEOUT_SECONDS":         "30",
		"SHUTDOWN_TIMEOUT_SECONDS":         "120",
		"KAFKA_SESSION_TIMEOUT_SECONDS":    "10",
	}
	for lane, suffix := range map[models.Lane]string{models.LaneHigh: "_HIGH", models.LaneNormal: "", models.LaneBulk: "_BULK"} {
		if slices.Contains(s.Lanes, lane) {
			settings["KAFKA_"+upper+"_REQUEST_TOPIC"+suffix] = s.RequestTopic(lane)
		}
	}
	if s.control {
		settings["KAFKA_CONTROL_TOPIC"] = s.Topic("control")
	}
	maps.Copy(settings, extra)
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env
}

// Request makes a valid request of the channel; edits replace its members,
// and nil removes one.
func Request(channel models.Channel, id string, edits map[string]any) []byte {
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

// Hints makes the meta that the mock provider reads, of keys and values.
func Hints(pairs ...string) map[string]any {
	meta := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		meta[pairs[i]] = pairs[i+1]
	}
	return map[string]any{"meta": meta}
}

// Put produces a request under its id.
func (s *Stage) Put(id string, value []byte) {
	s.t.Helper()
	s.Produce(&kgo.Record{Key: []byte(id), Value: value})
}

// Produce writes records to the topic that they name, or else to the request
// topic, and waits.
func (s *Stage) Produce(records ...*kgo.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = cmp.Or(r.Topic, s.Topic("request"))
	}
	if err := s.Client.ProduceSync(s.Ctx, records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// PutOne produces a request, edited as Request does it, and returns its id.
func (s *Stage) PutOne(edits map[string]any) string {
	s.t.Helper()
	id := NewID()
	s.Put(id, Request(s.Channel, id, edits))
	return id
}

// PutMany produces that many plain requests and returns their ids.
func (s *Stage) PutMany(n int) map[string]bool {
	s.t.Helper()
	return s.PutEach(n, func(int) map[string]any { return nil })
}

// PutEach produces n requests, that of number i with these edits, and returns
// their ids. They go to the lanes in turn.
func (s *Stage) PutEach(n int, edits func(i int) map[string]any) map[string]bool {
	s.t.Helper()
	ids, records := map[string]bool{}, make([]*kgo.Record, 0, n)
	for i := range n {
		id := NewID()
		ids[id] = true
		records = append(records, &kgo.Record{Topic: s.TopicInTurn(i), Key: []byte(id), Value: Request(s.Channel, id, edits(i))})
	}
	s.Produce(records...)
	return ids
}

// NewID makes a message id.
func NewID() string {
	h := RandomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

// RandomHex returns n random bytes in hexadecimal.
func RandomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
