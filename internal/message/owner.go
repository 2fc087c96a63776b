package message

import (
	"errors"
	"slices"
	"time"

	"messaging-worker/internal/models"
)

// What is said of recipients whose own failure an earlier owner took along.
var (
	errInterrupted          = errors.New("the worker ended during the call (may have been accepted)")
	errEarlier              = errors.New("failed under an earlier worker")
	errRefusedEarlier       = errors.New("recipient refused in an earlier attempt")
	errIndeterminateEarlier = errors.New("an answer could not be read in an earlier attempt (may have been accepted)")
)

// Begin gives the message to its owner, for the recipients that it reaches,
// ascending. Whoever is open in an attempt without an outcome may have been
// accepted.
func (p *Progress) Begin(recipients []int, now time.Time) {
	p.recipients = recipients
	if p.attempt == 0 {
		p.states, p.others = nil, Open
		return
	}
	states := slices.Repeat([]RecipientState{p.others}, p.size())
	copy(states, p.states)
	p.states = states
	p.lastAttempt = p.lastEvent
	p.failedBy(now)
	for _, i := range recipients {
		if p.states[i] == Open && p.UnderWay() {
			p.states[i] = Unclassified
		}
		p.fail(i, p.earlier(p.states[i]))
	}
}

// size returns how many numbers the message's recipients have.
func (p *Progress) size() int {
	if n := len(p.recipients); n > 0 {
		return p.recipients[n-1] + 1
	}
	return 0
}

// earlier returns as much as the events tell of a recipient's failure.
func (p *Progress) earlier(s RecipientState) *Failure {
	f := &Failure{Err: errEarlier, Response: models.ProviderResponse{Status: models.StatusUnknown}}
	switch s {
	case Unclassified:
		f.Err = errInterrupted
	case Indeterminate:
		f.Err = errIndeterminateEarlier
	case Refused:
		f.Err, f.Response = errRefusedEarlier, models.ProviderResponse{Status: models.StatusRejected, Code: p.refusal.code}
		if p.refusal.text != "" {
			f.Err = errors.New(p.refusal.text)
		}
	case Open, Accepted:
	}
	return f
}

// Record takes what a call came to for one recipient: its state, and where it
// was not accepted what it was told. Numbers that the message has not are left
// out.
func (p *Progress) Record(i int, s RecipientState, f *Failure) {
	if i < 0 || i >= p.size() {
		return
	}
	p.grow(p.size() - 1)
	if !p.states[i].IsOpen() {
		s = max(s, p.states[i])
	}
	p.states[i] = s
	p.fail(i, f)
}

func (p *Progress) fail(i int, f *Failure) {
	if f == nil {
		return
	}
	if p.failures == nil {
		p.failures = make([]*Failure, p.size())
	}
	p.failures[i] = f
}

// RoundEnded notes the end of a round of calls: whether any of it failed, and
// whether any was made.
func (p *Progress) RoundEnded(at time.Time, failed, called bool) {
	if failed && p.firstFailed.IsZero() {
		p.firstFailed = at
	}
	if called {
		p.lastAttempt = at
	}
}

// Refuse ends the message for the recipients that are still open, for a reason
// that comes before all that they were told.
func (p *Progress) Refuse(at time.Time, reason error) {
	for _, i := range p.With(Open, Unclassified) {
		p.Record(i, Refused, &Failure{Attempt: -1, Err: reason, Response: models.ProviderResponse{Status: models.StatusRejected}})
	}
	p.failedBy(at)
}

// GiveUp ends the message as it is. The reason is that of recipients who were
// told nothing.
func (p *Progress) GiveUp(at time.Time, reason error) {
	if _, f := p.Decisive(); f == nil {
		for _, i := range p.With(Open, Unclassified) {
			p.fail(i, &Failure{Err: reason})
		}
	}
	p.failedBy(at)
}

// failedBy fills in the times that an attempt and a failure had at the latest.
func (p *Progress) failedBy(at time.Time) {
	if p.lastAttempt.IsZero() {
		p.lastAttempt = at
	}
	if p.firstFailed.IsZero() {
		p.firstFailed = p.lastAttempt
	}
}

// Withdraw takes the last attempt back: it called nobody and does not count.
func (p *Progress) Withdraw() { p.withdrawn = max(p.withdrawn, p.run) }
