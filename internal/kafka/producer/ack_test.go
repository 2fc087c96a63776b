package producer

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	testkafka "messaging-worker/test/kafka"
)

func newPartitions() *partitions { return &partitions{all: map[topicPartition]*partition{}} }

func (l *unackedList) overdue() bool { return l.stalled(lateAfter) }

func TestRecordThatWaitsForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := newPartitions()
		list := &all.of(&Producer{life: lifetime.New(t.Context())}, "status", 1).unacked
		old, young := &Ack{}, &Ack{}
		list.add(old)
		time.Sleep(lateAfter - time.Second)
		list.add(young)
		if list.overdue() {
			t.Error("told before ten seconds are over")
		}
		time.Sleep(time.Second)
		if got := strings.Join(all.stalled(lateAfter), ","); got != "status" {
			t.Errorf("stalled = %q after ten seconds, want the topic", got)
		}
		list.remove(old, lateAfter)
		if !list.overdue() {
			t.Error("an acknowledgement that came late ends it, while another record waits")
		}
		list.remove(young, lateAfter)
		if list.overdue() {
			t.Error("it stands though the last acknowledgement came in time")
		}
	})
}

// Where each acknowledgement takes too long, one after the other, that stands
// all along; and it is over soon after the last one, when nothing follows.
func TestEachAcknowledgementTakesLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := &unackedList{}
		for n := range 5 {
			e := &Ack{}
			list.add(e)
			for range 11 {
				time.Sleep(time.Second)
				if n > 0 && !list.overdue() {
					t.Fatal("it is over while no acknowledgement has come in time")
				}
			}
			list.remove(e, lateAfter)
		}
		time.Sleep(time.Second)
		if list.overdue() {
			t.Error("it stands though nothing waits any more")
		}
	})
}

// In whatever order records are acknowledged: the list holds those that are
// not, the oldest first.
func TestWaitingIsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := &unackedList{}
		var open []*Ack
		for range 10_000 {
			time.Sleep(time.Millisecond)
			if len(open) == 0 || rand.IntN(2) == 0 {
				open = append(open, &Ack{})
				list.add(open[len(open)-1])
			} else {
				i := rand.IntN(len(open))
				list.remove(open[i], lateAfter)
				open = append(open[:i:i], open[i+1:]...)
			}
			at := list.first
			for _, want := range open {
				if at != want {
					t.Fatal("the list is not what waits, the oldest first")
				}
				at = at.after
			}
			if at != nil || len(open) > 0 && list.last != open[len(open)-1] {
				t.Fatal("the list holds what does not wait")
			}
		}
	})
}

// The client tries for ever what too few replicas are there for, and says
// nothing. The topic and Kafka's reason are told, and it is over with the
// acknowledgement.
func TestRefusalsThatTheClientKeepsToItself(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, "status", "dlq"))
	var refuse atomic.Bool
	refuse.Store(true)
	status := cluster.TopicInfo("status").TopicID
	cluster.ControlKey(kmsg.Produce.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		req, ok := request.(*kmsg.ProduceRequest)
		if !ok || !refuse.Load() || len(req.Topics) != 1 || req.Topics[0].Topic != "status" && req.Topics[0].TopicID != status {
			return nil, nil, false
		}
		return testkafka.Refuse(req, kerr.NotEnoughReplicas.Code), nil, true
	})
	p, err := newProducer(Options{
		Kafka: kafka.Options{Brokers: cluster.ListenAddrs()}, ByPartition: []string{"status"}, Log: zerolog.Nop(),
	}, 100*time.Millisecond, linger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	letter := p.Produce(kgo.Record{Topic: "dlq", Value: []byte("x")})
	if err := letter.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	event := p.Produce(kgo.Record{Topic: "status", Value: []byte("x")})
	const want = "topic status does not acknowledge records within 100ms: NOT_ENOUGH_REPLICAS: "
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if err := p.Refused(); err != nil && strings.HasPrefix(err.Error(), want) {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("Refused = %v, want %s", p.Refused(), want)
		}
	}
	refuse.Store(false)
	if err := event.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for p.Refused() != nil { // until an acknowledgement comes in time, however slow the machine
		if err := p.Produce(kgo.Record{Topic: "status", Value: []byte("x")}).Wait(ctx); err != nil {
			t.Fatal(err, p.Refused())
		}
	}
}

// One topic's refusals are not ended by another topic that takes its records,
// and are logged once.
func TestRefusalsAreOfTheirTopic(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	p := &Producer{late: lateAfter, options: Options{Log: zerolog.New(&log)}}
	for range 100 {
		p.setRefusal("dlq", kerr.TopicAuthorizationFailed)
		p.setRefusal("status", nil)
	}
	if err := p.Refused(); !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.HasPrefix(err.Error(), "topic dlq refuses") {
		t.Errorf("Refused = %v, want that of the dead letters", err)
	}
	if n := strings.Count(log.String(), "refuses a record"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	p.setRefusal("dlq", nil)
	if err := p.Refused(); err != nil {
		t.Errorf("Refused = %v after the record was taken", err)
	}
}
