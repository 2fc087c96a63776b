package worker

import (
	"errors"
	"time"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// What is said of attempts and refusals whose own words an earlier owner took
// along.
var (
	errInterrupted    = errors.New("the worker ended during the call (may have been accepted)")
	errEarlier        = errors.New("failed under an earlier worker")
	errRefusedEarlier = errors.New("recipient refused in an earlier attempt")
	errAssumedEarlier = errors.New("an answer could not be read in an earlier attempt (may have been accepted)")
)

// resume takes m to where earlier owners left it. It reports true when the
// message has come to its end there.
//
// An attempt without an outcome was under way: it counts as spent and may have
// been accepted. So a request that kills its worker comes to an end too.
func (e *Engine) resume(life *lifetime.Lifetime, m *job, p message.Progress) (ended bool, err error) {
	if p.Attempts == 0 && p.Withdrawn == 0 {
		return false, nil
	}
	m.restore(p)
	switch {
	case m.delivered():
		return true, e.sent(life.Calls(), m)
	case !m.open():
		return true, e.failed(life.Calls(), m)
	case m.attempt >= e.opts.MaxAttempts, p.UnderWay && e.opts.AmbiguousToDLQ:
		return true, e.failed(life.Calls(), m)
	case p.UnderWay:
		return false, nil
	}
	if err := e.waitAside(life.Waiting(), m, p.NextAt); err != nil {
		return true, errors.Join(err, m.flushOnStop(life.Calls()))
	}
	return false, nil
}

// restore puts the recipients' fates back to what the journal says.
func (m *job) restore(p message.Progress) {
	m.restored, m.unmade = true, p.Withdrawn
	m.attempt, m.firstFailed, m.lastAttempt = p.Attempts, p.FirstError, p.LastEvent
	if m.lastAttempt.IsZero() {
		m.lastAttempt = time.Now().UTC()
	}
	if m.firstFailed.IsZero() {
		m.firstFailed = m.lastAttempt
	}
	open := isOpen
	if p.UnderWay {
		open = isUnsettled
	}
	if p.Reached {
		m.settle(m.recipients, isAccepted)
		m.settle(p.Refused, isRefused)
		m.settle(p.Indeterminate, isAssumed)
		m.settle(p.Open, open)
	} else {
		m.settle(m.recipients, open)
	}
	m.settle(p.Resolved.Accepted, isAccepted)
	m.settle(p.Resolved.Refused, isRefused)
	m.settle(p.Resolved.Indeterminate, isAssumed)
	m.kept = m.count(isAccepted) + m.count(isRefused) + m.count(isAssumed)
	m.success = &result{response: models.ProviderResponse{Status: models.StatusOK}}
	m.explainEarlier(p)
}

// explainEarlier says of each recipient as much as the journal tells.
func (m *job) explainEarlier(p message.Progress) {
	refusal := &reason{err: errRefusedEarlier, response: models.ProviderResponse{Status: models.StatusRejected, Code: p.RefusedBy}}
	if p.RefusedFor != "" {
		refusal.err = errors.New(p.RefusedFor)
	}
	unknown := models.ProviderResponse{Status: models.StatusUnknown}
	of := map[fate]*reason{
		isOpen:      {err: errEarlier, response: unknown},
		isUnsettled: {err: errInterrupted, response: unknown},
		isAssumed:   {err: errAssumedEarlier, response: unknown},
		isRefused:   refusal,
	}
	for _, i := range m.recipients {
		m.because(i, of[m.fates[i]])
	}
}
