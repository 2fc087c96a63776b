// Package message is the state of one message: what the status topic tells of
// it, and what the calls of its present owner came to. It is pure data.
package message

import (
	"slices"
	"time"
)

// Progress is how far one message got. The journal builds it by Apply from the
// events of earlier owners, in any order and repeated; its present owner goes
// on with that same Progress by Begin, Record and Apply. The zero Progress is a
// new message.
type Progress struct {
	queued    bool
	attempt   int // the highest that was published
	run       int // how often that was published, as far as is known
	withdrawn int // the highest of these runs that was taken back before its calls
	ended     int // the highest attempt whose calls were made and failed

	recipients []int            // all that the message reaches, ascending; nil before Begin
	states     []RecipientState // by number
	others     RecipientState   // of whoever is not in states
	failures   []*Failure       // by number
	refusal    refusal

	nextAt      time.Time // of the retry of the attempt that ended last
	notBefore   time.Time // the latest of the retries that withdrew an attempt
	firstFailed time.Time
	lastEvent   time.Time // of the attempt and retry events
	lastAttempt time.Time // when the last round with a call ended; set by Begin
}

// refusal is what an event says of the first recipient that was refused.
type refusal struct {
	attempt int
	text    string
	code    int // HTTP or SMTP status code, 0 for none
}

// Attempted reports whether an attempt was ever published.
func (p *Progress) Attempted() bool { return p.attempt > 0 }

// Queued reports whether the message's queued event was published.
func (p *Progress) Queued() bool { return p.queued || p.attempt > 0 }

// Spent returns how many attempts count: those that were published and not
// withdrawn.
func (p *Progress) Spent() int {
	if p.isWithdrawn() {
		return p.attempt - 1
	}
	return p.attempt
}

// Next returns the number of the next attempt, and how often it will have been
// published then.
func (p *Progress) Next() (attempt, run int) {
	if p.isWithdrawn() {
		return p.attempt, p.withdrawn + 1
	}
	return p.attempt + 1, 1
}

func (p *Progress) isWithdrawn() bool { return p.attempt > 0 && p.withdrawn >= p.run }

// UnderWay reports whether the last attempt has no outcome: its calls may have
// been accepted.
func (p *Progress) UnderWay() bool { return p.attempt > p.ended && !p.isWithdrawn() }

// NextAt returns when the next attempt is due; the zero time is now.
func (p *Progress) NextAt() time.Time { return later(p.nextAt, p.notBefore) }

// FirstFailed returns when something about the message failed first.
func (p *Progress) FirstFailed() time.Time { return p.firstFailed }

// LastAttempt returns when the last attempt with a call ended.
func (p *Progress) LastAttempt() time.Time { return p.lastAttempt }

// State returns what has become of a recipient.
func (p *Progress) State(i int) RecipientState {
	if i < len(p.states) {
		return p.states[i]
	}
	return p.others
}

// With returns the numbers of the recipients in one of the states.
func (p *Progress) With(states ...RecipientState) []int {
	var numbers []int
	for _, i := range p.recipients {
		if slices.Contains(states, p.State(i)) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// Count returns how many recipients are in one of the states.
func (p *Progress) Count(states ...RecipientState) int {
	n := 0
	for _, i := range p.recipients {
		if slices.Contains(states, p.State(i)) {
			n++
		}
	}
	return n
}

// Delivered reports whether every recipient was accepted.
func (p *Progress) Delivered() bool { return p.Count(Accepted) == len(p.recipients) }

// IsOpen reports whether any recipient is still to be called.
func (p *Progress) IsOpen() bool { return p.Count(Open, Unclassified) > 0 }

// OpenUnits returns the units that still have open recipients, narrowed to
// those.
func (p *Progress) OpenUnits(units [][]int) [][]int {
	if p.states == nil && p.others == Open { // nothing has happened to anybody
		return units
	}
	var open [][]int
	for _, unit := range units {
		left := slices.DeleteFunc(slices.Clone(unit), func(i int) bool { return !p.State(i).IsOpen() })
		if len(left) > 0 {
			open = append(open, left)
		}
	}
	return open
}

// Resolved returns the recipients that need no further call.
func (p *Progress) Resolved() Resolved {
	return Resolved{Accepted: p.With(Accepted), Refused: p.With(Refused), Indeterminate: p.With(Indeterminate)}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
