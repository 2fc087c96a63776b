package worker

import (
	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// reason is why recipients do not have the message: what the provider told
// them last. Its class follows from their fate.
type reason struct {
	attempt  int // 0 under an earlier worker
	err      error
	response models.ProviderResponse
}

// byExpiry is the attempt of what comes before all that recipients were told.
const byExpiry = -1

// class is the failure type of a recipient's fate.
func (f fate) class() models.FailureType {
	switch f {
	case isRefused:
		return models.FailurePermanent
	case isUnsettled, isAssumed:
		return models.FailureUnknown
	case isOpen, isAccepted:
	}
	return models.FailureTransient
}

// explain keeps for each recipient of a failed call what it was told.
func (m *job) explain(r *result) {
	whole := &reason{m.attempt, r.failure.Err, r.response}
	for _, list := range [][]int{r.recipients, r.failure.Refused, r.failure.Open} {
		for _, i := range list {
			if answer, ok := r.failure.Answers[i]; ok {
				m.because(i, &reason{m.attempt, answer.Err, answer.Response})
			} else {
				m.because(i, whole)
			}
		}
	}
}

// because takes numbers from anywhere, as settle does.
func (m *job) because(i int, r *reason) {
	if i < 0 || i >= len(m.fates) {
		return
	}
	if m.reasons == nil {
		m.reasons = make([]*reason, len(m.fates))
	}
	m.reasons[i] = r
}

// reasonOf returns what decides for the recipients with a fate: for those that
// are open what was said last, for the others what was said first. It is nil
// where there are none.
func (m *job) reasonOf(f fate) *reason {
	if m.reasons == nil {
		return nil
	}
	var decisive *reason
	open := f == isOpen || f == isUnsettled
	for _, i := range m.with(f) {
		switch r := m.reasons[i]; {
		case r == nil:
		case decisive == nil, open && r.attempt >= decisive.attempt, !open && r.attempt < decisive.attempt:
			decisive = r
		}
	}
	return decisive
}

// openFate is the fate of an open recipient of a failed call.
func openFate(f *common.Failure, recipient int) fate {
	class := f.Class
	if answer, ok := f.Answers[recipient]; ok {
		class = answer.Class
	}
	if class == models.FailureUnknown {
		return isUnsettled
	}
	return isOpen
}
