package worker

import (
	"context"
	"errors"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// What is said of attempts and refusals whose own words an earlier owner took
// along.
var (
	errInterrupted    = errors.New("the worker ended during the call (may have been accepted)")
	errEarlier        = errors.New("failed under an earlier worker")
	errRefusedEarlier = errors.New("recipient refused in an earlier attempt")
)

// resume takes m to where earlier owners left it. It reports true when the
// message has come to its end there.
//
// An attempt without an outcome was under way: it counts as spent and may have
// been accepted. So a request that kills its worker comes to an end too.
func (e *Engine) resume(ctx, calls context.Context, m *message, p models.Progress) (ended bool, err error) {
	if p.Attempts == 0 && p.Runs == 0 {
		return false, nil
	}
	m.restore(p)
	switch {
	case m.delivered():
		return true, e.sent(calls, m)
	case !m.open():
		return true, e.failed(calls, m)
	case m.attempt >= e.opts.MaxAttempts, p.UnderWay && e.opts.AmbiguousToDLQ:
		return true, e.failed(calls, m)
	case p.UnderWay:
		return false, nil
	}
	if err := e.waitAside(ctx, m, p.NextAt); err != nil {
		return true, errors.Join(err, m.lastWords(calls))
	}
	return false, nil
}

// restore puts the recipients' fates back to what the journal says.
func (m *message) restore(p models.Progress) {
	m.restored, m.unmade = true, p.Runs
	m.attempt, m.firstFailed, m.lastAttempt = p.Attempts, p.FirstError, p.LastEvent
	if m.lastAttempt.IsZero() {
		m.lastAttempt = time.Now().UTC()
	}
	if m.firstFailed.IsZero() {
		m.firstFailed = m.lastAttempt
	}
	open, trouble := isOpen, common.Transient(errEarlier)
	if p.UnderWay {
		open, trouble = isUnsettled, common.Unknown(errInterrupted)
	}
	if p.Reached {
		m.settle(m.recipients, isAccepted)
		m.settle(p.Refused, isRefused)
		m.settle(p.Assumed, isAssumed)
		m.settle(p.Open, open)
	} else {
		m.settle(m.recipients, open)
	}
	m.settle(p.Settled.Accepted, isAccepted)
	m.settle(p.Settled.Refused, isRefused)
	m.settle(p.Settled.Assumed, isAssumed)
	m.kept = m.count(isAccepted) + m.count(isRefused) + m.count(isAssumed)
	m.success = &result{response: models.ProviderResponse{Status: models.StatusOK}}
	m.trouble = &result{response: models.ProviderResponse{Status: models.StatusUnknown}, failure: trouble}
	if m.count(isRefused) > 0 {
		m.refusal = &result{
			response: models.ProviderResponse{Status: models.StatusRejected}, failure: common.Permanent(errRefusedEarlier),
		}
	}
}
