// Package fault tells failures apart about which a user can do something.
package fault

import (
	"errors"
	"fmt"
)

// Kind is a kind of failure.
type Kind int

// The kinds.
const (
	NoBroker      Kind = iota + 1 // no broker answers, or lets us in
	NoTopic                       // a topic to read does not exist
	NoTopicToSend                 // a topic to write does not exist
	TopicsMissing                 // topics do not exist or may not be used as needed
	NotShown                      // brokers accepted changes and do not show them yet
	PassedEnd                     // a batch has come further than its topic goes
	Stopped                       // a batch was stopped; run again, it goes on
	StoppedAt                     // the same, at a record that is named
	NoPort                        // a broker cannot be started on its port
	NotKnown                      // an order may have been written, or not
)

// Error is a failure of a kind.
type Error struct {
	Kind Kind
	error
}

// Unwrap returns what the error was made of.
func (e *Error) Unwrap() error { return e.error }

// New returns an error with the text that fmt.Errorf makes.
func New(kind Kind, format string, args ...any) error {
	return &Error{kind, fmt.Errorf(format, args...)}
}

// Is reports whether an error is, or wraps, one of a kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}
