package message

import "messaging-worker/internal/models"

// RecipientState is what has become of one recipient.
type RecipientState uint8

// The states of a recipient. All but the first two are final. Of two owners
// who say different things of one recipient, the greater state stands, so that
// the order in which their events are read does not count.
const (
	Open          RecipientState = iota // to be called
	Unclassified                        // to be called; its last outcome could not be classified
	Accepted                            // by the provider
	Refused                             // for good
	Indeterminate                       // may have been accepted: never called again
)

// IsOpen reports whether the recipient is still to be called.
func (s RecipientState) IsOpen() bool { return s <= Unclassified }

// FailureType returns the type of the failure of a message that ends with a
// recipient in this state.
func (s RecipientState) FailureType() models.FailureType {
	switch s {
	case Refused:
		return models.FailurePermanent
	case Unclassified, Indeterminate:
		return models.FailureUnknown
	case Open, Accepted:
	}
	return models.FailureTransient
}

// Failure is what the provider told a recipient last who does not have the
// message.
type Failure struct {
	Attempt  int // 0 under an earlier owner
	Err      error
	Response models.ProviderResponse
}

// Resolved lists recipients that need no further call, by their numbers: what a
// checkpoint of a round says whose calls have not all ended.
type Resolved struct {
	Accepted      []int
	Refused       []int // for good
	Indeterminate []int // may have been accepted
}

// Len returns how many recipients are resolved.
func (r Resolved) Len() int { return len(r.Accepted) + len(r.Refused) + len(r.Indeterminate) }

// Decisive returns why the message is in its state: the state of the recipients
// that decide it, and what they were told. So an event's text and the type of
// its dead letter are of the same. The failure is nil where nothing has failed.
func (p *Progress) Decisive() (RecipientState, *Failure) {
	for _, s := range []RecipientState{Open, Unclassified, Indeterminate, Refused} {
		if f := p.FailureOf(s); f != nil {
			return s, f
		}
	}
	return Accepted, nil
}

// FailureOf returns what decides for the recipients in a state: for those that
// are open what was said last, for the others what was said first. It is nil
// where there are none.
func (p *Progress) FailureOf(s RecipientState) *Failure {
	if p.failures == nil {
		return nil
	}
	var decisive *Failure
	for _, i := range p.With(s) {
		switch f := p.failures[i]; {
		case f == nil:
		case decisive == nil, s.IsOpen() && f.Attempt >= decisive.Attempt, !s.IsOpen() && f.Attempt < decisive.Attempt:
			decisive = f
		}
	}
	return decisive
}
