// Package control gives orders to the workers, lifts them, and tells which are
// in force.
package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/internal/util"
)

// Topic is the control topic. Close it.
type Topic struct {
	Name  string
	Named bool // by the settings; false: it has the name that tools use then

	client *kgo.Client
	topic  *scan.Topic
}

// Open connects and opens the control topic. The error of one that does not
// exist is a fault.NoTopic.
func Open(ctx context.Context, c *config.Config) (*Topic, error) {
	client, err := ops.Connect(ctx, c, append(ops.InteractiveProducer(), kgo.ProducerLinger(0), kgo.RequiredAcks(kgo.AllISRAcks()))...)
	if err != nil {
		return nil, err
	}
	topic, err := scan.Open(ctx, client, c.Kafka.ControlTopic)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &Topic{Name: topic.Name, Named: c.Kafka.ControlGiven, client: client, topic: topic}, nil
}

// Close ends the connection.
func (t *Topic) Close() { t.client.Close() }

// CheckScope returns what is wrong with an order's action and scope, or nil.
func CheckScope(o *models.Order) error {
	if err := o.ValidateScope(); err != nil {
		return err
	}
	// A request without such an id does not validate: it has failed at once.
	if o.MessageID != "" && !util.IsUUIDv4(o.MessageID) {
		return fmt.Errorf("message id %q: want a UUID of version 4 in lower case; a request with another id is never sent", o.MessageID)
	}
	return nil
}

// Give puts an order in force for that long from now, and sets its At and Until.
// It returns once all in-sync replicas have it. The order takes the place of an
// earlier one with its key.
func (t *Topic) Give(ctx context.Context, o *models.Order, lasting time.Duration) error {
	o.At = now()
	o.Until = o.At.Add(lasting)
	if err := cmp.Or(CheckScope(o), o.Validate()); err != nil {
		return err
	}
	value, err := o.Encode()
	if err != nil {
		return err
	}
	return t.write(ctx, &kgo.Record{Topic: t.Name, Key: []byte(o.Key()), Value: value})
}

// Lift ends orders before their time. It returns once all in-sync replicas know.
// The reason may be empty.
func (t *Topic) Lift(ctx context.Context, orders []*models.Order, by, reason string) error {
	var records []*kgo.Record
	for _, o := range orders {
		lift := models.Lift{Action: o.Action, Scope: o.Scope(), By: by, Reason: reason, At: now()}
		r := &kgo.Record{Topic: t.Name, Key: []byte(lift.Key())}
		for _, h := range lift.Headers() {
			r.Headers = append(r.Headers, kgo.RecordHeader(h))
		}
		records = append(records, r)
	}
	return t.write(ctx, records...)
}

// now is the present, as records tell it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func (t *Topic) write(ctx context.Context, records ...*kgo.Record) error {
	err := t.client.ProduceSync(ctx, records...).FirstErr()
	switch _, refused := errors.AsType[*kerr.Error](err); {
	case err == nil:
		return t.hidden(ctx, records)
	case refused:
		return fmt.Errorf("produce to %s: %w", t.Name, err)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return fault.New(fault.NotKnown, "produce to %s: %w", t.Name, err)
}

// hidden returns an error where an open transaction of somebody else keeps
// readers, the workers among them, from records that were written.
func (t *Topic) hidden(ctx context.Context, records []*kgo.Record) error {
	ends, err := t.topic.Ends(ctx)
	if err != nil {
		return nil //nolint:nilerr // they are written, and nothing is known to hide them
	}
	for _, r := range records {
		if end, known := ends[r.Partition]; known && r.Offset >= end {
			return fmt.Errorf("written to %s, but not in force: workers read it only when a transaction that is open there ends; find and abort it with kafka-transactions.sh", t.Name)
		}
	}
	return nil
}
