package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/control"
	"messaging-worker/internal/ops/fault"
	testkafka "messaging-worker/test/kafka"
)

const topicName = "orders"

// open returns the control topic of a broker of its own, and a client of that.
func open(t *testing.T) (*control.Topic, *kgo.Client) {
	t.Helper()
	return openOn(t, testkafka.Embedded(t, kfake.SeedTopics(1, topicName)))
}

func openOn(t *testing.T, cluster *kfake.Cluster) (*control.Topic, *kgo.Client) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(topicName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	topic, err := control.Open(t.Context(), &config.Config{Kafka: config.Kafka{Brokers: cluster.ListenAddrs(), ControlTopic: topicName}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(topic.Close)
	return topic, client
}

func give(t *testing.T, topic *control.Topic, o models.Order) *models.Order {
	t.Helper()
	if err := topic.Give(t.Context(), &o, time.Hour); err != nil {
		t.Fatal(err)
	}
	return &o
}

func read(t *testing.T, topic *control.Topic) *control.Log {
	t.Helper()
	log, err := topic.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// What is in force is the last order of each kind and scope, unless it was
// lifted or its time is over.
func TestOrdersInForce(t *testing.T) {
	t.Parallel()
	topic, client := open(t)
	whole := models.Order{Action: models.ActionPause, Channel: models.SMS, Reason: "first", By: "a@b"}
	tenant := models.Order{Action: models.ActionPause, Channel: models.SMS, Tenant: "acme", Reason: "asked", By: "a@b"}
	rate := models.Order{Action: models.ActionRate, Channel: models.SMS, PerSecond: 2, Reason: "slow", By: "a@b"}
	lifted := give(t, topic, whole)
	want := []*models.Order{give(t, topic, tenant), give(t, topic, rate)}
	whole.Reason = "second"
	want = append(want, give(t, topic, whole))
	gone := give(t, topic, models.Order{Action: models.ActionPause, Channel: models.Email, Reason: "r", By: "a@b"})
	if err := topic.Lift(t.Context(), []*models.Order{gone}, "c@d", "is over"); err != nil {
		t.Fatal(err)
	}
	over := models.Order{Action: models.ActionCancel, Channel: models.Email, Reason: "r", By: "a@b", Until: time.Now().Add(-time.Second)}
	value, err := over.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), &kgo.Record{Key: []byte(over.Key()), Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	log := read(t, topic)
	if diff := cmp.Diff(want, log.InForce()); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
	var told []string
	for _, e := range log.Entries {
		line := string(e.Kind) + " " + string(e.Action) + " " + e.Scope + " by " + e.By + ": " + e.Reason
		if e.InForce {
			line += " (in force)"
		}
		told = append(told, line)
	}
	history := []string{
		"given pause sms by a@b: first", "given pause sms/tenant/acme by a@b: asked (in force)", "given rate sms by a@b: slow (in force)",
		"given pause sms by a@b: second (in force)", "given pause email by a@b: r", "lifted pause email by c@d: is over", "given cancel email by a@b: r",
	}
	if diff := cmp.Diff(history, told); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if until := lifted.Until.Sub(lifted.At); until != time.Hour || time.Since(lifted.At) > time.Minute {
		t.Errorf("given at %v for %v, want now and for an hour", lifted.At, until)
	}
}

// A record that cannot be read takes nothing back, and is named by its place.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	topic, client := open(t)
	o := give(t, topic, models.Order{Action: models.ActionPause, Channel: models.SMS, Reason: "r", By: "a@b"})
	for _, r := range []*kgo.Record{
		{Key: []byte(o.Key()), Value: []byte("{")},
		{Key: []byte(o.Key()), Value: []byte{}},
		{Key: []byte("pause/email"), Value: []byte(`{"action":"pause","channel":"sms","until":"2999-01-01T00:00:00Z","reason":"r","by":"b","at":"2026-01-01T00:00:00Z"}`)},
		{Key: []byte("nonsense")},
		{Key: []byte("pause/sms/lane/low")}, // lifts what never was
	} {
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	log := read(t, topic)
	if got := log.InForce(); len(got) != 1 || got[0].Key() != o.Key() {
		t.Errorf("in force: %v, want the pause of sms alone", got)
	}
	places := []string{"orders/0/1: ", "orders/0/2: ", "orders/0/3: ", "orders/0/4: "}
	if len(log.Unreadable) != len(places) || len(log.Entries) != 2 {
		t.Fatalf("%d others, and unreadable %v", len(log.Entries), log.Unreadable)
	}
	for i, place := range places {
		if text := log.Unreadable[i].Error(); !strings.HasPrefix(text, place) {
			t.Errorf("an unreadable record: %q, want it to begin with %q", text, place)
		}
	}
}

// Who is interrupted before the broker answers does not know whether the order
// holds.
func TestGiveThatIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, topicName))
	topic, _ := openOn(t, cluster)
	ctx, cancel := context.WithCancel(t.Context())
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cancel()
		cluster.SleepControl(func() { <-t.Context().Done() }) // no answer
		return nil, nil, false
	})
	o := models.Order{Action: models.ActionPause, Channel: models.SMS, Reason: "r", By: "a@b"}
	if err := topic.Give(ctx, &o, time.Hour); !fault.Is(err, fault.NotKnown) || !errors.Is(err, context.Canceled) {
		t.Errorf("Give that is interrupted: %v, want a fault.NotKnown of the interruption", err)
	}
}

func TestNoControlTopic(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t)
	_, err := control.Open(t.Context(), &config.Config{Kafka: config.Kafka{Brokers: cluster.ListenAddrs(), ControlTopic: topicName}})
	if !fault.Is(err, fault.NoTopic) {
		t.Errorf("Open = %v, want a fault.NoTopic", err)
	}
}

// An order that workers would skip is not written.
func TestGiveRefuses(t *testing.T) {
	t.Parallel()
	topic, _ := open(t)
	for _, o := range []models.Order{
		{Action: models.ActionPause, Channel: models.SMS},
		{Action: models.ActionPause, Channel: models.SMS, Tenant: "a", Provider: "mock", Reason: "r"},
		{Action: models.ActionCancel, MessageID: "7", Reason: "r"},
		{Action: models.ActionPause, Channel: models.SMS, Tenant: "\xff", Reason: "r"},
	} {
		if err := topic.Give(t.Context(), &o, time.Hour); err == nil {
			t.Errorf("Give(%+v) is no error", o)
		}
	}
	if log := read(t, topic); len(log.Entries)+len(log.Unreadable) != 0 {
		t.Errorf("written all the same: %+v", log)
	}
}

// An order behind an open transaction of somebody else is hidden from workers.
func TestGiveBehindAnOpenTransaction(t *testing.T) {
	t.Parallel()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(1, topicName))
	topic, _ := openOn(t, cluster)
	other, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(topicName), kgo.TransactionalID("other"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	if err := other.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := other.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	o := models.Order{Action: models.ActionPause, Channel: models.Email, Reason: "r", By: "a@b"}
	if err := topic.Give(t.Context(), &o, time.Hour); err == nil || !strings.Contains(err.Error(), "not in force") {
		t.Errorf("given behind an open transaction: %v", err)
	}
	if err := other.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	give(t, topic, o)
	if got := read(t, topic).InForce(); len(got) != 1 {
		t.Errorf("in force after the transaction: %v", got)
	}
}
