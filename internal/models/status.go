package models

import (
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// EventType is one step of a message's life.
type EventType string

// The steps of a message's life. Sent, Failed and Canceled are final.
const (
	EventQueued  EventType = "queued"
	EventAttempt EventType = "attempt"
	EventRetry   EventType = "retry"
	EventSent    EventType = "sent"
	EventFailed  EventType = "failed"

	// EventCanceled: an operator wanted that nobody is called any more.
	EventCanceled EventType = "canceled"
)

// EventTypes returns all of them.
func EventTypes() [6]EventType {
	return [...]EventType{EventQueued, EventAttempt, EventRetry, EventSent, EventFailed, EventCanceled}
}

// Final reports whether the event ends its message.
func (t EventType) Final() bool {
	return t == EventSent || t == EventFailed || t == EventCanceled
}

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
	Attempt          int               `json:"attempt"` // from 1; 0 before the first
	ProviderResponse *ProviderResponse `json:"provider_response,omitzero"`
	Error            string            `json:"error,omitzero"`
	TraceID          string            `json:"trace_id,omitzero"`
	Timestamp        time.Time         `json:"timestamp"` // UTC

	// Run tells how often an attempt was published: a worker that is stopped
	// before all its calls are made, or whose provider refuses us and not the message, takes
	// the attempt back by a retry with MetaNotCalled, and whoever goes on
	// publishes the same attempt again. It travels as a
	// header from the second time on.
	Run int `json:"-"`

	// TenantID travels as a header, not in the payload.
	TenantID string `json:"-"`

	// FailureType is why a message has failed, for those who count. Its dead
	// letter says it; the event does not.
	FailureType FailureType `json:"-"`
}

// Encode returns the event's wire form with its texts cut to their limits.
// Invalid UTF-8 becomes U+FFFD.
func (e *StatusEvent) Encode() ([]byte, error) {
	b, ok := e.encodePlain()
	if ok {
		return b, nil
	}
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

// encodePlain is Encode for an event that tells of no trouble, as nearly all
// do: each message has three, and the encoder for everything takes a fifth of
// a fast worker's time. It reports false where the event is not that plain.
func (e *StatusEvent) encodePlain() ([]byte, bool) {
	r := e.ProviderResponse
	if e.Error != "" || len(e.TraceID) > MaxTextRunes || r != nil && (r.Raw != "" || len(r.Message) > MaxTextRunes) {
		return nil, false
	}
	size := 180 + len(e.MessageID) + len(e.TraceID)
	if r != nil {
		size += 70 + len(r.Message)
		for key, value := range r.Meta {
			size += len(key) + len(value) + 6
		}
	}
	w := writer{make([]byte, 0, size)}
	w.text(`{"message_id":`, e.MessageID)
	w.text(`,"channel":`, string(e.Channel))
	w.text(`,"event_type":`, string(e.EventType))
	w.number(`,"attempt":`, e.Attempt)
	if r != nil && !w.response(r) {
		return nil, false
	}
	if e.TraceID != "" {
		w.text(`,"trace_id":`, e.TraceID)
	}
	if y := e.Timestamp.Year(); y < 0 || y > 9999 || e.Timestamp.Location() != time.UTC {
		return nil, false
	}
	w.b = append(w.b, `,"timestamp":"`...)
	w.b = e.Timestamp.AppendFormat(w.b, time.RFC3339Nano)
	return append(w.b, `"}`...), true
}

// writer appends JSON.
type writer struct{ b []byte }

// text appends a member whose value is a string. What is not UTF-8 becomes
// U+FFFD.
func (w *writer) text(name, value string) {
	w.b, _ = jsontext.AppendQuote(append(w.b, name...), value) // its error tells of the U+FFFD
}

func (w *writer) number(name string, value int) {
	w.b = strconv.AppendInt(append(w.b, name...), int64(value), 10)
}

// response appends the member provider_response, and reports false where it
// needs cutting.
func (w *writer) response(r *ProviderResponse) bool {
	w.b = append(w.b, `,"provider_response":{`...)
	begin := len(w.b)
	if r.Status != "" {
		w.text(`,"status":`, r.Status)
	}
	if r.Code != 0 {
		w.number(`,"code":`, r.Code)
	}
	if r.Message != "" {
		w.text(`,"message":`, r.Message)
	}
	if !w.meta(r.Meta) {
		return false
	}
	if len(w.b) > begin {
		w.b = slices.Delete(w.b, begin, begin+1) // the first comma
	}
	w.b = append(w.b, '}')
	return true
}

// meta appends the member meta, and reports false where it needs cutting.
func (w *writer) meta(m map[string]string) bool {
	if m == nil {
		return true
	}
	separator := `,"meta":{`
	for key, value := range m {
		if len(value) > MaxTextRunes || !utf8.ValidString(key) {
			return false
		}
		w.text(separator, key)
		w.text(":", value)
		separator = ","
	}
	if len(m) == 0 {
		w.b = append(w.b, separator...)
	}
	w.b = append(w.b, '}')
	return true
}
