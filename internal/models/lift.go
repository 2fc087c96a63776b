package models

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// Lift is a record of the control topic without a value: it ends the order with
// its key before that one's time.
type Lift struct {
	Action Action
	Scope  string // as Order.Scope

	// What headers tell. Each may be missing: any tool can write such a record.
	By, Reason string
	At         time.Time // when it was written; zero: not told
}

// The headers of a lift.
const (
	headerLiftBy     = "by"
	headerLiftReason = "reason"
	headerLiftAt     = "at" // RFC 3339
)

// Key is the key of the record, and of the order that it ends.
func (l *Lift) Key() string { return orderKey(l.Action, l.Scope) }

// Headers returns those of the record.
func (l *Lift) Headers() []Header {
	at := ""
	if !l.At.IsZero() {
		at = l.At.Format(time.RFC3339Nano)
	}
	var list []Header
	for _, h := range [][2]string{{headerLiftBy, l.By}, {headerLiftReason, l.Reason}, {headerLiftAt, at}} {
		if h[1] != "" {
			list = append(list, Header{Key: h[0], Value: []byte(h[1])})
		}
	}
	return list
}

// DecodeLift reads a record of the control topic that has no value.
func DecodeLift[H header](key []byte, headers []H) (*Lift, error) {
	action, scope, _ := strings.Cut(string(key), "/")
	if scope == "" || !slices.Contains(actions(), Action(action)) {
		return nil, errors.New("lift order: its key is not that of an order")
	}
	l := &Lift{Action: Action(action), Scope: scope}
	for i := range headers {
		switch h := Header(headers[i]); h.Key {
		case headerLiftBy:
			l.By = string(h.Value)
		case headerLiftReason:
			l.Reason = string(h.Value)
		case headerLiftAt:
			at, _ := time.Parse(time.RFC3339, string(h.Value)) // foreign text tells nothing
			l.At = at.UTC()
		}
	}
	return l, nil
}
