package consumer

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	testkafka "messaging-worker/test/kafka"
)

// bound ends waits that would never end; a wait that succeeds is not slowed.
const bound = 3 * time.Minute

// scene is a broker with a request topic, and who works on it.
type scene struct {
	t        *testing.T
	cluster  *kfake.Cluster
	producer *kgo.Client
}

func newScene(t *testing.T, brokers int, partitions int32) *scene {
	t.Helper()
	cluster := testkafka.Embedded(t, kfake.NumBrokers(brokers), kfake.SeedTopics(partitions, "request", "status"))
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	return &scene{t, cluster, producer}
}

// put writes a request and returns its offset.
func (s *scene) put(partition int32, value string) int64 {
	s.t.Helper()
	r := &kgo.Record{Topic: "request", Partition: partition, Value: []byte(value)}
	if err := s.producer.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
	return r.Offset
}

func (s *scene) flush() {
	s.t.Helper()
	if err := s.producer.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// place is one record.
type place struct {
	partition int32
	offset    int64
}

// member is a consumer whose handler tells what it does. A request "call"
// stays under way until the test releases it; a request "hold" then asks
// whether it is ours.
type member struct {
	t       *testing.T
	c       *Consumer
	begun   chan place    // handlers, as they begin
	told    chan place    // calls under way whose assignment ends
	release chan struct{} // closed when calls may end
	held    chan error    // what those were answered that asked
	done    chan place    // finished
	beats   chan struct{} // of the poll loop
	ended   chan struct{} // closed at the poll loop's end
	stop    func()
	result  chan error
	log     lines
}

// lines is a log that is read while it is written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// String returns all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// count returns how often a text is in the log.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), text)
}

// matching returns the lines of the log that match.
func (l *lines) matching(line *regexp.Regexp) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(strings.Split(l.all.String(), "\n"), func(s string) bool { return !line.MatchString(s) })
}

func (s *scene) join(change ...func(*Options)) *member {
	s.t.Helper()
	m := &member{
		t: s.t, begun: make(chan place, 1e6), told: make(chan place, 1e6), done: make(chan place, 1e6), held: make(chan error, 1e3),
		release: make(chan struct{}), beats: make(chan struct{}), ended: make(chan struct{}), result: make(chan error, 1),
	}
	o := Options{
		Kafka: kafka.Options{Brokers: s.cluster.ListenAddrs()}, Topic: "request", StatusTopic: "status", Group: "group",
		SessionTimeout: time.Minute, CommitInterval: 10 * time.Millisecond, LongestCall: time.Hour,
		MaxAtWork: 100, MaxPendingMessages: 1000, MaxPendingBytes: 1 << 20,
		Journal: nothing{}, Observer: m, Log: zerolog.New(&m.log),
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	m.c, err = New(o, m.handle)
	if err != nil {
		s.t.Fatal(err)
	}
	life := lifetime.New(context.Background())
	m.stop = func() { life.Stop(nil) }
	go func() { m.result <- m.c.Run(life) }()
	s.t.Cleanup(func() { life.Cut(nil) })
	return m
}

// Polling lets the test see the poll loop move.
func (m *member) Polling() {
	select {
	case m.beats <- struct{}{}:
	default:
	}
}

// Committing implements Observer.
func (m *member) Committing() {}

// Draining tells the test that the poll loop has ended.
func (m *member) Draining() { close(m.ended) }

// Share implements Observer.
func (m *member) Share(int, int) {}

// nothing is a Journal in which nothing was ever written, and an Observer that
// looks at nothing.
type nothing struct{}

func (nothing) Acked(int32) int64                           { return -1 }
func (nothing) FlushPartition(context.Context, int32) error { return nil }
func (nothing) Polling()                                    {}
func (nothing) Committing()                                 {}
func (nothing) Draining()                                   {}
func (nothing) Share(int, int)                              {}

// unconnected returns a consumer that does not run.
func unconnected(t *testing.T, handle Handler, o Options) *Consumer {
	t.Helper()
	o.Topic, o.SessionTimeout, o.MaxPendingMessages, o.MaxPendingBytes = "request", time.Minute, 1000, 1<<20
	o.Journal, o.Observer, o.Log = nothing{}, nothing{}, zerolog.Nop()
	c, err := New(o, handle)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (m *member) handle(life *lifetime.Lifetime, rec *models.Record, _ message.Progress, lease *Lease) error {
	at := place{rec.Partition, rec.Offset}
	m.begun <- at
	if string(rec.Value) == "hold" {
		<-m.release
		err := lease.Await(life.Waiting())
		m.held <- err
		return err
	}
	if string(rec.Value) == "call" {
		select {
		case <-m.release:
		case <-life.Waiting().Done():
			m.told <- at
			select {
			case <-m.release:
			case <-life.Calls().Done():
				return context.Cause(life.Calls())
			}
		}
	} else if life.Calls().Err() != nil {
		return context.Cause(life.Calls())
	}
	m.done <- at
	return nil
}

// leave stops the member and waits for its end.
func (m *member) leave() {
	m.t.Helper()
	m.stop()
	if err := wait(m.t, m.result, "the consumer's end"); err != nil {
		m.t.Errorf("Run = %v, want nil", err)
	}
}

func wait[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(bound):
		t.Fatalf("waited %v for %s", bound, what)
	}
	panic("not reached")
}

// committed waits until the group's offset is that.
func (s *scene) committed(partition int32, want int64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), bound)
	defer cancel()
	_, err := s.cluster.WaitGroupInfo(ctx, "group", func(g *kfake.GroupInfo) bool {
		if g == nil {
			return false // nobody has joined yet
		}
		commit, ok := g.Commits["request"][partition]
		return ok && commit.Offset == want
	})
	if err != nil {
		s.t.Fatal(errors.Join(errors.New("the offset was not committed: "+strconv.FormatInt(want, 10)), err))
	}
}
