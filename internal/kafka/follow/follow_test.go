package follow_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/follow"
	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// table is what a topic says, as text.
type table struct {
	mu      sync.Mutex
	known   map[string]string
	begun   map[string]string // what a reading that is not complete has found
	reading bool
	begins  int
}

func (t *table) Begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun, t.reading = map[string]string{}, true
	t.begins++
}

func (t *table) Apply(rec *models.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to := t.known
	if t.reading {
		to = t.begun
	}
	if rec.Value == nil {
		delete(to, string(rec.Key))
		return
	}
	to[string(rec.Key)] = string(rec.Value)
}

func (t *table) Complete() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.reading = t.begun, false
}

func (t *table) holds(want map[string]string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Equal(t.known, want)
}

// scene is a topic, which need not exist, and who follows it.
type scene struct {
	t        *testing.T
	table    *table
	brokers  []string
	topic    string
	client   *kgo.Client
	admin    *kadm.Client
	follower *follow.Follower
}

func newScene(t *testing.T, brokers []string, topic string) *scene {
	t.Helper()
	s := &scene{table: &table{}, t: t, brokers: brokers, topic: topic}
	s.client = s.newClient(kgo.DefaultProduceTopic(topic))
	s.admin = kadm.NewClient(s.client)
	return s
}

func (s *scene) newClient(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.brokers...), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return client
}

// follow begins to follow the topic.
func (s *scene) follow() *scene {
	s.t.Helper()
	var err error
	s.follower, err = follow.New(follow.Options{Kafka: kafka.Options{Brokers: s.brokers, ClientID: "test"}, Topic: s.topic, Log: zerolog.Nop()}, s.table)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.follower.Run(ctx) })
	s.t.Cleanup(func() { cancel(); running.Wait() })
	return s
}

// again is another follower of the topic.
func (s *scene) again() *scene {
	s.t.Helper()
	return newScene(s.t, s.brokers, s.topic).follow()
}

func (s *scene) create(partitions int32) {
	s.t.Helper()
	// A topic of that name may not be gone yet.
	s.await("the topic to be created", func() bool {
		_, err := s.admin.CreateTopic(s.t.Context(), partitions, 1, map[string]*string{"cleanup.policy": new("compact,delete")}, s.topic)
		return err == nil
	})
}

// put writes records in the form key=value, or key for one without a value.
func (s *scene) put(client *kgo.Client, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		rec := &kgo.Record{Topic: s.topic, Key: []byte(key)}
		if ok {
			rec.Value = []byte(value)
		}
		if err := client.ProduceSync(s.t.Context(), rec).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// holds waits until that is known, and that it is all.
func (s *scene) holds(texts ...string) {
	s.t.Helper()
	want := map[string]string{}
	for _, text := range texts {
		key, value, _ := strings.Cut(text, "=")
		want[key] = value
	}
	s.await(fmt.Sprint("the table to be ", want), func() bool { return s.table.holds(want) && s.follower.Err() == nil })
}

// fails waits until the follower has that fault.
func (s *scene) fails(text string) {
	s.t.Helper()
	s.await("the fault "+text, func() bool { return s.follower.Err() != nil && strings.Contains(s.follower.Err().Error(), text) })
}

// bound is how long what happens soon may take.
const bound = time.Minute

func (s *scene) await(what string, is func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), bound)
	defer cancel()
	for look := time.NewTicker(5 * time.Millisecond); !is(); {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited %v for %s; the table is %v, the fault %v", bound, what, s.table.known, s.follower.Err())
		case <-look.C:
		}
	}
}

func (s *scene) isReady() bool {
	select {
	case <-s.follower.Ready():
		return true
	default:
		return false
	}
}

func (s *scene) begin(name string) *kgo.Client {
	s.t.Helper()
	client := s.newClient(kgo.TransactionalID(name))
	if err := client.BeginTransaction(); err != nil {
		s.t.Fatal(err)
	}
	return client
}

func (s *scene) end(client *kgo.Client, how kgo.TransactionEndTry) {
	s.t.Helper()
	if err := client.EndTransaction(s.t.Context(), how); err != nil {
		s.t.Fatal(err)
	}
}

// A topic is followed whatever happens to it, and what is known holds until
// something else is.
func TestFollow(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Start(t, testkafka.Options{})
	if !cluster.Controllable() {
		t.Skip("the brokers cannot be stopped")
	}
	t.Run("topics", func(t *testing.T) {
		for name, test := range map[string]func(*scene){
			"from the start":     followsFromTheStart,
			"missing":            followsWhatComesLater,
			"transactions":       followsCommitted,
			"created again":      followsWhatIsCreatedAgain,
			"cut":                followsWhatIsCut,
			"further partitions": followsFurtherPartitions,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(newScene(t, cluster.Brokers(), strings.ReplaceAll(name, " ", "-")))
			})
		}
	})
	s := newScene(t, cluster.Brokers(), "outage")
	s.create(1)
	s.put(s.client, "a=1")
	s.follow().holds("a=1")
	if err := cluster.Stop(0); err != nil {
		t.Fatal(err)
	}
	s.fails("brokers do not answer")
	if old := s.follower.Age(); !s.table.holds(map[string]string{"a": "1"}) || old <= 0 {
		t.Errorf("while the brokers are away: %v of age %v, want what is known", s.table.known, old)
	}
	if err := cluster.Start(0); err != nil {
		t.Fatal(err)
	}
	s.put(s.client, "a", "b=2")
	s.holds("b=2")
	if s.table.begins != 1 {
		t.Errorf("the topic was read %d times, want once", s.table.begins)
	}
}

func followsFromTheStart(s *scene) {
	s.create(3)
	want := map[string]string{}
	for i := range 3000 {
		key := fmt.Sprint("k", i%1000)
		s.client.Produce(s.t.Context(), &kgo.Record{Key: []byte(key), Value: fmt.Append(nil, i)}, nil)
		want[key] = strconv.Itoa(i)
	}
	if err := s.client.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.put(s.client, "k7", "k1000=new")
	delete(want, "k7")
	want["k1000"] = "new"
	s.follow()
	<-s.follower.Ready()
	if !s.table.holds(want) {
		s.t.Errorf("at its end the topic says %d entries, want %d and theirs", len(s.table.known), len(want))
	}
	s.put(s.client, "k7=again", "k8")
	want["k7"] = "again"
	delete(want, "k8")
	s.await("the last changes", func() bool { return s.table.holds(want) })
	before := s.follower.Age()
	s.await("Kafka to say that there is nothing newer", func() bool { return s.follower.Age() < before })
}

func followsWhatComesLater(s *scene) {
	s.follow().fails("topic missing does not exist")
	if s.isReady() {
		s.t.Error("ready without a topic")
	}
	s.create(2)
	<-s.follower.Ready()
	s.holds()
	s.put(s.client, "a=1", "b=2")
	s.holds("a=1", "b=2")
}

// What was rolled back is not there. A transaction that hangs keeps what lies
// behind it from being known, and nobody from being ready.
func followsCommitted(s *scene) {
	s.create(1)
	s.put(s.client, "a=1")
	rolledBack := s.begin("rolled back")
	s.put(rolledBack, "a=2")
	s.end(rolledBack, kgo.TryAbort)
	s.follow().holds("a=1")
	open := s.begin("open")
	s.put(open, "b=2")
	s.put(s.client, "c=3")
	before := s.follower.Age()
	s.await("Kafka to say that there is nothing newer", func() bool { return s.follower.Age() < before })
	s.again().holds("a=1")
	s.end(open, kgo.TryCommit)
	s.holds("a=1", "b=2", "c=3")
	s.again().holds("a=1", "b=2", "c=3")
}

func followsWhatIsCreatedAgain(s *scene) {
	s.create(1)
	s.put(s.client, "a=1", "b=2")
	s.follow().holds("a=1", "b=2")
	if _, err := s.admin.DeleteTopic(s.t.Context(), s.topic); err != nil {
		s.t.Fatal(err)
	}
	s.fails("does not exist")
	if !s.table.holds(map[string]string{"a": "1", "b": "2"}) {
		s.t.Errorf("without the topic %v is known, want what it said", s.table.known)
	}
	s.create(1)
	s.holds()
	s.put(s.newClient(), "c=3", "d=4", "e=5")
	s.holds("c=3", "d=4", "e=5")
}

func followsWhatIsCut(s *scene) {
	s.create(1)
	s.put(s.client, "a=1", "b=2", "c=3")
	s.follow().holds("a=1", "b=2", "c=3")
	var gone kadm.Offsets
	gone.AddOffset(s.topic, 0, 2, -1)
	if _, err := s.admin.DeleteRecords(s.t.Context(), gone); err != nil {
		s.t.Fatal(err)
	}
	s.holds("c=3")
}

func followsFurtherPartitions(s *scene) {
	s.create(1)
	s.put(s.client, "a=1")
	s.follow().holds("a=1")
	if _, err := s.admin.UpdatePartitions(s.t.Context(), 4, s.topic); err != nil {
		s.t.Fatal(err)
	}
	client := s.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range 4 {
		rec := &kgo.Record{Topic: s.topic, Partition: int32(p), Key: fmt.Append(nil, p), Value: []byte("new")}
		s.await("the partition to be there", func() bool { return client.ProduceSync(s.t.Context(), rec).FirstErr() == nil })
	}
	s.holds("a=1", "0=new", "1=new", "2=new", "3=new")
}
