package message

import "messaging-worker/internal/models"

// Decisive returns why the message is in its state: the state of the recipients
// that decide it, and what they were told. States are asked in the order in
// which FailureType does, so that an event's text belongs to the type of its
// dead letter. The failure is nil where nothing has failed.
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

// FailureType says why the message is given up.
func (p *Progress) FailureType() models.FailureType {
	switch {
	case p.Count(Refused) == len(p.recipients)-p.Count(Accepted):
		return models.FailurePermanent
	case p.Count(Open) > 0:
		return models.FailureTransient
	default:
		return models.FailureUnknown
	}
}
