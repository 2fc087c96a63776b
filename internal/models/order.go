package models

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Action is what an order does to the messages of its scope.
type Action string

// The actions.
const (
	ActionPause  Action = "pause"  // no attempt starts
	ActionRate   Action = "rate"   // another GROUP_RATE_PER_SECOND is in force
	ActionCancel Action = "cancel" // messages that have not ended end with EventCanceled
)

// Order is what an operator wants for a while of all messages of a scope. It is
// one record of the control topic; a record with the same key and no value
// lifts it.
type Order struct {
	Action Action `json:"action"`

	// The scope: one message by its id, or a channel and at most one of tenant,
	// provider and an entry of meta.
	MessageID string            `json:"message_id,omitzero"`
	Channel   Channel           `json:"channel,omitzero"`
	Lane      Lane              `json:"lane,omitzero"` // empty: all
	Tenant    string            `json:"tenant,omitzero"`
	Provider  string            `json:"provider,omitzero"`
	Meta      map[string]string `json:"meta,omitzero"` // one entry

	PerSecond float64   `json:"per_second,omitzero"` // of ActionRate; above 0
	Until     time.Time `json:"until"`
	Reason    string    `json:"reason"`
	By        string    `json:"by"` // who gave it
	At        time.Time `json:"at"` // when
}

// actions lists all of them.
func actions() []Action { return []Action{ActionPause, ActionRate, ActionCancel} }

// MaxOrder is how long an order may last.
const MaxOrder = 30 * 24 * time.Hour

// Scope names the messages that the order is about: "message/ID", or the
// channel and what narrows it, as "sms/lane/bulk/tenant/acme".
func (o *Order) Scope() string {
	if o.MessageID != "" {
		return "message/" + o.MessageID
	}
	parts := []string{string(o.Channel)}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name, value)
		}
	}
	add("lane", string(o.Lane))
	add("tenant", url.PathEscape(o.Tenant))
	add("provider", url.PathEscape(o.Provider))
	for _, key := range slices.Sorted(maps.Keys(o.Meta)) {
		add("meta", url.QueryEscape(key)+"="+url.QueryEscape(o.Meta[key]))
	}
	return strings.Join(parts, "/")
}

// Key is the key of the order's record. Of two orders with one key the later
// counts.
func (o *Order) Key() string { return orderKey(o.Action, o.Scope()) }

func orderKey(a Action, scope string) string { return string(a) + "/" + scope }

// Encode returns the value of the order's record.
func (o *Order) Encode() ([]byte, error) {
	value, err := json.Marshal(o, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode order: %w", err)
	}
	return value, nil
}

// DecodeOrder reads a record of the control topic that has a value. It refuses
// what it does not know: an order with a part left out would be about more
// messages than was meant.
func DecodeOrder(key, value []byte) (*Order, error) {
	o := &Order{}
	if err := json.Unmarshal(value, o, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("decode order: %w", err)
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("decode order: %w", err)
	}
	if want := o.Key(); string(key) != want {
		return nil, fmt.Errorf("decode order: its key is not %q", want)
	}
	return o, nil
}

// Validate returns what is wrong with the order, or nil.
func (o *Order) Validate() error {
	if err := o.ValidateScope(); err != nil {
		return err
	}
	switch {
	case (o.Action == ActionRate) != (o.PerSecond > 0):
		return errors.New("per_second: want a number above 0 for a rate, and none else")
	case o.Reason == "":
		return errors.New("reason: is empty")
	case o.Until.IsZero():
		return errors.New("until: is missing")
	}
	return nil
}

// ValidateScope returns what is wrong with the order's action and scope, or nil.
func (o *Order) ValidateScope() error {
	narrowed := 0
	for _, given := range []bool{o.Tenant != "", o.Provider != "", len(o.Meta) > 0} {
		if given {
			narrowed++
		}
	}
	lanes := Lanes()
	switch {
	case !slices.Contains(actions(), o.Action):
		return fmt.Errorf("action %q: want pause, rate or cancel", o.Action)
	case o.MessageID != "" && (o.Action != ActionCancel || o.Channel != "" || o.Lane != "" || narrowed > 0):
		return errors.New("a message id stands alone, and only in a cancel")
	case o.MessageID == "" && !slices.Contains([]Channel{Email, SMS, WhatsApp}, o.Channel):
		return fmt.Errorf("channel %q: want email, sms or whatsapp", o.Channel)
	case o.Lane != "" && !slices.Contains(lanes[:], o.Lane):
		return fmt.Errorf("lane %q: want high, normal or bulk", o.Lane)
	case narrowed > 1 || len(o.Meta) > 1:
		return errors.New("at most one of tenant, provider and an entry of meta")
	case o.Action == ActionCancel && o.Provider != "":
		return errors.New("a cancel is about no provider")
	case o.Action == ActionRate && (o.Lane != "" || o.Tenant != "" || len(o.Meta) > 0):
		return errors.New("a rate is of a channel or a provider")
	}
	return nil
}
