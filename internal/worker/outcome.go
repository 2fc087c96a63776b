package worker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// failureType says why the message is given up.
func (m *job) failureType() models.FailureType {
	left := len(m.recipients) - m.count(isAccepted)
	switch {
	case m.count(isRefused) == left:
		return models.FailurePermanent
	case m.count(isOpen) > 0:
		return models.FailureTransient
	default:
		return models.FailureUnknown
	}
}

// again reports whether the failed call leaves anybody for another attempt.
func (r *result) again() bool {
	switch {
	case !r.indeterminate:
		return true // only a failure that is worth another attempt feeds the breaker
	case r.failure.Doubtful == nil:
		return false
	}
	return slices.ContainsFunc(r.failure.Open, func(i int) bool { return !slices.Contains(r.failure.Doubtful, i) })
}

// decisive returns why the message is in its state, and the fate of those for
// whom it is. The fates are asked in the order in which failureType does, so
// that an event's text belongs to the type of its dead letter. It is nil where
// all have it.
func (m *job) decisive() (fate, *reason) {
	for _, f := range []fate{isOpen, isUnsettled, isAssumed, isRefused} {
		if r := m.reasonOf(f); r != nil {
			return f, r
		}
	}
	return isAccepted, nil
}

func (m *job) failureText() string {
	f, r := m.decisive()
	if r == nil {
		return ""
	}
	return (&common.Failure{Class: f.class(), Err: r.err}).Error()
}

// response merges what the providers answered into one.
func (m *job) response() *models.ProviderResponse {
	resp := models.ProviderResponse{Status: models.StatusUnknown}
	if _, r := m.decisive(); r != nil {
		resp = r.response
	} else if m.success != nil {
		resp = m.success.response
	}
	resp.Meta = m.meta
	accepted, refused := m.count(isAccepted), m.count(isRefused)
	switch {
	case m.delivered(), len(m.recipients) == 1:
	case accepted > 0:
		resp.Status = models.StatusPartial
	case refused > 0 && (!m.open() || m.givenUp != ""):
		resp.Status = models.StatusRejected
	}
	if len(m.recipients) > 1 {
		resp.Meta = maps.Clone(m.meta)
		m.addMeta(&resp, "accepted", strconv.Itoa(accepted))
		m.addMeta(&resp, "rejected", strconv.Itoa(refused))
		m.addMeta(&resp, "open", strconv.Itoa(m.count(isOpen)+m.count(isUnsettled)))
	}
	return &resp
}

func (m *job) addMeta(resp *models.ProviderResponse, key, value string) {
	if resp.Meta == nil {
		resp.Meta = map[string]string{}
	}
	resp.Meta[key] = value
}

// retry publishes that the attempt failed and when the next one is due. An
// attempt that was not made, or not to all, is taken back: it is not spent.
func (m *job) retry(ctx context.Context, next time.Time) {
	resp := m.response()
	resp.Meta = maps.Clone(resp.Meta)
	m.addMeta(resp, models.MetaNextAttemptAt, next.UTC().Format(time.RFC3339Nano))
	if len(m.recipients) > 1 {
		m.addMeta(resp, models.MetaOpenRecipients, m.list(isOpen, isUnsettled))
		for key, f := range map[string]fate{models.MetaRefusedRecipients: isRefused, models.MetaAssumedRecipients: isAssumed} {
			if list := m.list(f); list != "" {
				m.addMeta(resp, key, list)
			}
		}
	}
	if r := m.reasonOf(isRefused); r != nil {
		m.addMeta(resp, models.MetaRefusedError, r.err.Error())
		if r.response.Code != 0 {
			m.addMeta(resp, models.MetaRefusedCode, strconv.Itoa(r.response.Code))
		}
	}
	taken := m.unspent || m.notStarted && !m.lease.AtMostOnce() // there nobody goes on
	if taken {
		m.addMeta(resp, models.MetaNotCalled, strconv.Itoa(m.run))
	}
	m.publish(ctx, models.EventRetry, resp, m.failureText())
	m.retried = true
	if taken {
		m.attempt, m.unmade = m.attempt-1, m.run
	}
}

// list writes the numbers of the recipients with one of the fates.
func (m *job) list(fates ...fate) string {
	var numbers []string
	for _, i := range m.with(fates...) {
		numbers = append(numbers, strconv.Itoa(i))
	}
	return strings.Join(numbers, ",")
}

func (m *job) deadLetter(channel models.Channel) *models.DLQRecord {
	letter := &models.DLQRecord{
		MessageID: m.envelope.MessageID, Channel: channel,
		OriginalMessage: models.NewOriginal(m.record.Value),
		Attempts:        max(1, m.attempt), FailureType: m.failureType(), LastError: m.failureText(),
		FirstFailedAt: m.firstFailed, LastAttemptAt: m.lastAttempt,
		TraceID: m.traceID, TenantID: m.envelope.TenantID, Meta: m.envelope.Meta,
	}
	if len(m.recipients) > 1 && m.count(isRefused)+m.count(isAccepted) > 0 {
		letter.Meta = maps.Clone(letter.Meta)
		if letter.Meta == nil {
			letter.Meta = map[string]string{}
		}
		var left []string
		for _, i := range m.recipients {
			if m.fates[i] != isAccepted {
				left = append(left, m.delivery.Recipients[i])
			}
		}
		letter.Meta[models.MetaFailedRecipients] = strings.Join(left, ",")
	}
	return letter
}
