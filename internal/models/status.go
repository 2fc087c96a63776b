package models

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// EventType is one step of a message's life.
type EventType string

// The steps of a message's life. Sent and Failed are final.
const (
	EventQueued  EventType = "queued"
	EventAttempt EventType = "attempt"
	EventRetry   EventType = "retry"
	EventSent    EventType = "sent"
	EventFailed  EventType = "failed"
)

// Provider response statuses: what a provider's answer comes down to.
const (
	StatusOK          = "ok"
	StatusRejected    = "rejected"
	StatusRateLimited = "rate_limited"
	StatusUnavailable = "unavailable"
	StatusTimeout     = "timeout"
	StatusPartial     = "partial"
	StatusUnknown     = "unknown"
)

// ProviderResponse is a provider's answer, normalised by the adapter.
type ProviderResponse struct {
	Status  string            `json:"status,omitzero"`  // one of the Status constants
	Code    int               `json:"code,omitzero"`    // HTTP or SMTP status code; 0 when there was no answer
	Message string            `json:"message,omitzero"` // provider's own words in short
	Raw     string            `json:"raw,omitzero"`     // refusals and failures only, at most 1,024 runes
	Meta    map[string]string `json:"meta,omitzero"`    // nil when empty
}

// StatusEvent is one record of messages.<channel>.status. Encode is its
// wire form.
type StatusEvent struct {
	MessageID        string            `json:"message_id"`
	Channel          Channel           `json:"channel"`
	EventType        EventType         `json:"event_type"`
	Attempt          int               `json:"attempt"` // provider calls from 1; 0 before the first
	ProviderResponse *ProviderResponse `json:"provider_response,omitzero"`
	Error            string            `json:"error,omitzero"`
	TraceID          string            `json:"trace_id,omitzero"`
	Timestamp        time.Time         `json:"timestamp"` // UTC

	// TenantID travels as a header, not in the payload.
	TenantID string `json:"-"`
}

// Encode returns the event's wire form with its texts cut to their limits.
// Invalid UTF-8 becomes U+FFFD.
func (e *StatusEvent) Encode() ([]byte, error) {
	w := *e
	w.Error = CutRunes(w.Error, MaxErrorRunes)
	w.TraceID = CutRunes(w.TraceID, MaxTextRunes)
	w.ProviderResponse = w.ProviderResponse.bound()
	data, err := json.Marshal(&w, wireOptions())
	if err != nil {
		return nil, fmt.Errorf("encode status event: %w", err)
	}
	return data, nil
}
