package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Kind tells the records of the control topic apart.
type Kind string

// The kinds.
const (
	Given  Kind = "given"
	Lifted Kind = "lifted"
)

// Entry is one record of the control topic, as it is printed.
type Entry struct {
	Kind      Kind          `json:"kind"`
	Action    models.Action `json:"action"`
	Scope     string        `json:"scope"`
	PerSecond float64       `json:"per_second,omitzero"`
	Until     time.Time     `json:"until,omitzero"` // of an order that was given
	Reason    string        `json:"reason,omitzero"`
	By        string        `json:"by,omitzero"`
	At        time.Time     `json:"at"`
	InForce   bool          `json:"in_force"`
	Record    string        `json:"record"` // TOPIC/PARTITION/OFFSET

	key   string
	order *models.Order // nil for one that lifts
}

// Log is what the control topic holds.
type Log struct {
	Entries    []Entry // the oldest first
	Unreadable []error // each names a record that cannot be read; workers skip it too
	now        time.Time
}

// Read reads the topic to its present end.
func (t *Topic) Read(ctx context.Context) (*Log, error) {
	spans, err := t.topic.Spans(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	log := &Log{now: time.Now()}
	err = t.topic.Read(ctx, spans, nil, func(rec *kgo.Record) error {
		log.add(rec)
		return nil
	})
	log.finish()
	return log, err
}

func (l *Log) add(rec *kgo.Record) {
	e := Entry{Record: fmt.Sprintf("%s/%d/%d", rec.Topic, rec.Partition, rec.Offset), At: rec.Timestamp.UTC(), key: string(rec.Key)}
	take := e.give
	if rec.Value == nil {
		take = e.lift
	}
	if err := take(rec); err != nil {
		l.Unreadable = append(l.Unreadable, fmt.Errorf("%s: %w", e.Record, err))
		return
	}
	l.Entries = append(l.Entries, e)
}

func (e *Entry) give(rec *kgo.Record) error {
	o, err := models.DecodeOrder(rec.Key, rec.Value)
	if err != nil {
		return err //nolint:wrapcheck // it says what was done
	}
	e.Kind, e.Action, e.Scope, e.PerSecond, e.Until, e.Reason, e.By, e.order = Given, o.Action, o.Scope(), o.PerSecond, o.Until, o.Reason, o.By, o
	if !o.At.IsZero() {
		e.At = o.At
	}
	return nil
}

// lift reads a record without a value.
func (e *Entry) lift(rec *kgo.Record) error {
	l, err := models.DecodeLift(rec.Key, rec.Headers)
	if err != nil {
		return err //nolint:wrapcheck // it says what was done
	}
	e.Kind, e.Action, e.Scope, e.Reason, e.By = Lifted, l.Action, l.Scope, l.Reason, l.By
	if !l.At.IsZero() {
		e.At = l.At
	}
	return nil
}

// finish decides which orders are in force: the last of each key, until its time
// is over. Records of one key lie in one partition, in their order.
func (l *Log) finish() {
	last := map[string]int{}
	for i, e := range l.Entries {
		last[e.key] = i
	}
	for _, i := range last {
		e := &l.Entries[i]
		e.InForce = e.order != nil && e.Until.After(l.now)
	}
	slices.SortStableFunc(l.Entries, func(a, b Entry) int { return a.At.Compare(b.At) })
}

// View is an order as it is printed.
type View struct {
	models.Order `json:",inline"`

	Scope string `json:"scope"`
}

// ViewOf returns the order's view.
func ViewOf(o *models.Order) View { return View{*o, o.Scope()} }

// ViewsOf returns those of orders, not nil.
func ViewsOf(orders []*models.Order) []View {
	views := make([]View, len(orders))
	for i, o := range orders {
		views[i] = ViewOf(o)
	}
	return views
}

// InForce returns the orders in force, the oldest first.
func (l *Log) InForce() []*models.Order {
	var list []*models.Order
	for _, e := range l.Entries {
		if e.InForce {
			list = append(list, e.order)
		}
	}
	return list
}
