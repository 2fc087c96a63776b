package worker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// again reports whether the failed call leaves anybody for another attempt.
func (r *result) again() bool {
	if !r.indeterminate {
		return true // only a failure that is worth another attempt feeds the breaker
	}
	f := r.failure
	return f.Doubtful != nil && slices.ContainsFunc(f.Open, func(i int) bool { return !slices.Contains(f.Doubtful, i) })
}

// states returns what a failed call came to, by recipient.
func (r *result) states() map[int]message.RecipientState {
	f, states := r.failure, make(map[int]message.RecipientState, len(r.recipients))
	set := func(recipients []int, s message.RecipientState) {
		for _, i := range recipients {
			states[i] = s
		}
	}
	switch {
	case f.Refused != nil || f.Open != nil:
		set(r.recipients, message.Accepted)
		set(f.Refused, message.Refused)
		for _, i := range f.Open {
			states[i] = openState(f, i)
		}
		if f.Accepted {
			set(f.Doubtful, message.Indeterminate)
		}
	case f.Accepted:
		set(r.recipients, message.Indeterminate)
	case f.Class == models.FailurePermanent:
		set(r.recipients, message.Refused)
	default:
		set(r.recipients, openState(f, -1))
	}
	if r.indeterminate {
		for i, s := range states {
			if s.IsOpen() && (f.Doubtful == nil || slices.Contains(f.Doubtful, i)) {
				states[i] = message.Indeterminate
			}
		}
	}
	return states
}

// openState is the state of an open recipient of a failed call.
func openState(f *common.Failure, recipient int) message.RecipientState {
	class := f.Class
	if answer, ok := f.Answers[recipient]; ok {
		class = answer.Class
	}
	if class == models.FailureUnknown {
		return message.Unclassified
	}
	return message.Open
}

func (m *job) failureText() string {
	state, f := m.progress.Decisive()
	if f == nil {
		return ""
	}
	return (&common.Failure{Class: state.FailureType(), Err: f.Err}).Error()
}

// response merges what the providers answered into one. Final says that nobody
// is called any more.
func (m *job) response(final bool) *models.ProviderResponse {
	p := &m.progress
	resp := models.ProviderResponse{Status: models.StatusUnknown}
	if _, f := p.Decisive(); f != nil {
		resp = f.Response
	} else if m.success != nil {
		resp = *m.success
	}
	resp.Status = cmp.Or(resp.Status, models.StatusUnknown) // a call that was not made has no answer
	resp.Meta = m.meta
	if len(m.recipients) == 1 {
		return &resp
	}
	accepted, refused := p.Count(message.Accepted), p.Count(message.Refused)
	switch {
	case p.Delivered():
	case accepted > 0:
		resp.Status = models.StatusPartial
	case refused > 0 && (final || !p.IsOpen()):
		resp.Status = models.StatusRejected
	}
	resp.Meta = cloned(m.meta)
	resp.Meta["accepted"] = strconv.Itoa(accepted)
	resp.Meta["rejected"] = strconv.Itoa(refused)
	resp.Meta["open"] = strconv.Itoa(p.Count(message.Open, message.Unclassified))
	return &resp
}

// retry publishes that the attempt failed and when the next one is due. An
// attempt that was not made, or not to all, is withdrawn: it is not spent.
func (m *job) retry(ctx context.Context, next time.Time) {
	// At most once, a stop leaves no later owner who would make it.
	withdrawn := m.last.unspent || m.last.notCalled && (m.last.ordered || !m.lease.AtMostOnce())
	resp := m.response(false)
	resp.Meta = cloned(resp.Meta)
	m.progress.RetryMeta(resp.Meta, next, withdrawn)
	m.publish(ctx, models.StatusEvent{EventType: models.EventRetry, Attempt: m.progress.Spent(), ProviderResponse: resp, Error: m.failureText()})
	m.retried = true
}

func (m *job) deadLetter(channel models.Channel) *models.DLQRecord {
	p := &m.progress
	state, _ := p.Decisive()
	letter := &models.DLQRecord{
		MessageID: m.delivery.Envelope.MessageID, Channel: channel,
		OriginalMessage: models.NewOriginal(m.record.Value),
		Attempts:        max(1, p.Spent()), FailureType: state.FailureType(), LastError: m.failureText(),
		FirstFailedAt: p.FirstFailed(), LastAttemptAt: p.LastAttempt(),
		TraceID: m.traceID, TenantID: m.delivery.Envelope.TenantID, Meta: m.delivery.Envelope.Meta,
	}
	if len(m.recipients) > 1 && p.Count(message.Refused, message.Accepted) > 0 {
		var left []string
		for _, i := range p.With(message.Open, message.Unclassified, message.Refused, message.Indeterminate) {
			left = append(left, m.delivery.Recipients[i])
		}
		letter.Meta = cloned(letter.Meta)
		letter.Meta[models.MetaFailedRecipients] = strings.Join(left, ",")
	}
	return letter
}

// cloned returns a copy to add to; that of nil is empty.
func cloned(meta map[string]string) map[string]string {
	if meta == nil {
		return map[string]string{}
	}
	return maps.Clone(meta)
}
