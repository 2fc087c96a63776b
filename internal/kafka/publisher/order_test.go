package publisher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/models"
)

// incompressible makes an event of the message n whose text is random.
func incompressible(n int, kind models.EventType) *models.StatusEvent {
	ev := event(kind, 0)
	ev.MessageID, ev.TenantID = fmt.Sprintf("m%d", n), random(120)
	return ev
}

func uncompressed(t *testing.T, b *refusing) *publisher.Publisher {
	t.Helper()
	p, err := publisher.New(publisher.Options{
		Kafka:       kafka.Options{Brokers: b.ListenAddrs(), ClientID: "sms-worker"},
		StatusTopic: "status", DLQTopic: "dlq", Host: "host-1", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// inOrder fails for each message whose attempt stands before its queued, and
// for each event that is there twice.
func inOrder(t *testing.T, b *refusing, n int) {
	t.Helper()
	seen := map[string]int{}
	for _, r := range read(t, b.ListenAddrs(), "status", n) {
		var ev models.StatusEvent
		if err := json.Unmarshal(r.Value, &ev); err != nil {
			t.Fatal(err)
		}
		want := map[models.EventType]int{models.EventQueued: 0, models.EventAttempt: 1}[ev.EventType]
		if seen[ev.MessageID] != want {
			t.Errorf("%s of %s after %d events of it, want %d", ev.EventType, ev.MessageID, seen[ev.MessageID], want)
		}
		seen[ev.MessageID]++
	}
}

// A burst is larger than its topic takes at once, and no batch of it is.
func TestBatchesFitTheirTopic(t *testing.T) {
	t.Parallel()
	const limit, bursts, size = 4000, 20, 40
	b := newBroker(t)
	limitTopic(t, b, "status", limit)
	p := uncompressed(t, b)
	for burst := range bursts {
		for n := range size {
			p.Status(t.Context(), source(1), incompressible(burst*size+n, models.EventQueued))
		}
		last := p.Status(t.Context(), source(1), incompressible(burst*size+size-1, models.EventAttempt))
		if err := last.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.largest.Load(); got > limit || got < limit/2 {
		t.Errorf("the largest batch has %d bytes, want at most %d and not much less", got, limit)
	}
	inOrder(t, b, bursts*(size+1))
}

// limitTopic sets the topic's own max.message.bytes: the embedded broker does
// not tell its topics' settings from its own.
func limitTopic(t *testing.T, b *refusing, topic string, limit int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	change := kadm.AlterConfig{Name: "max.message.bytes", Value: new(strconv.Itoa(limit))}
	altered, err := kadm.NewClient(cl).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{change}, topic)
	if err != nil || altered[0].Err != nil {
		t.Fatal(err, altered)
	}
}

// What follows a refused event of its message waits for it, though Kafka takes
// everything again; Flush waits for both.
func TestWhatFollowsARefusedEventWaits(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.code.Store(int32(kerr.PolicyViolation.Code))
	p := uncompressed(t, b)
	const messages = 10
	for n := range messages {
		p.Status(t.Context(), source(1), incompressible(n, models.EventQueued))
	}
	until(t, func() bool { return p.Refused() != nil }) // the retry queue waits now before it tries again
	b.code.Store(0)
	var acks []publisher.Ack
	for n := range messages {
		acks = append(acks, p.Status(t.Context(), source(1), incompressible(n, models.EventAttempt)))
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ack := range acks {
		if err := ack.Wait(ended); err != nil {
			t.Errorf("not written after Flush: %v", err)
		}
	}
	inOrder(t, b, 2*messages)
}

// An event that never fits holds up its own message alone.
func TestAnEventThatNeverFitsDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBroker(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": "4000"}))
	p := uncompressed(t, b)
	fat := event(models.EventRetry, 1)
	fat.MessageID = random(5000)
	stuck := p.Status(t.Context(), source(1), fat)
	until(t, func() bool { return p.Refused() != nil })
	if err := p.Status(t.Context(), source(1), incompressible(1, models.EventQueued)).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if err := stuck.Wait(t.Context()); err == nil {
		t.Error("an event too large for its topic was written")
	}
}

// until waits for ok.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("never so")
		}
	}
}
