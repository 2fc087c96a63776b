package models

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// FailureType says why a message was given up.
type FailureType string

// The reasons for a dead letter.
const (
	FailurePermanent  FailureType = "permanent"
	FailureTransient  FailureType = "transient"
	FailureValidation FailureType = "validation"
	FailureUnknown    FailureType = "unknown"
)

// DLQRecord is one record of messages.<channel>.dlq. Encode and
// DecodeDLQRecord are its wire form.
type DLQRecord struct {
	MessageID       string
	Channel         Channel
	OriginalMessage Original
	Attempts        int // at least 1
	FailureType     FailureType
	LastError       string
	FirstFailedAt   time.Time // UTC
	LastAttemptAt   time.Time // UTC
	TraceID         string
	Meta            map[string]string // nil when empty

	// TenantID travels as a header, not in the payload.
	TenantID string
}

// A dead letter on the wire is dlqHead, original_message and dlqTail. They are
// joined by hand because an encoder would reformat the original.
type dlqHead struct {
	MessageID string  `json:"message_id"`
	Channel   Channel `json:"channel"`
}

type dlqTail struct {
	Attempts      int               `json:"attempts"`
	FailureType   FailureType       `json:"failure_type"`
	LastError     string            `json:"last_error,omitzero"`
	FirstFailedAt time.Time         `json:"first_failed_at"`
	LastAttemptAt time.Time         `json:"last_attempt_at"`
	TraceID       string            `json:"trace_id,omitzero"`
	Meta          map[string]string `json:"meta,omitzero"`
}

// Encode returns the record's wire form with its texts cut to their limits.
// The original's bytes stand in it unchanged; invalid UTF-8 elsewhere becomes
// U+FFFD.
func (r *DLQRecord) Encode() ([]byte, error) {
	head, err := json.Marshal(dlqHead{r.MessageID, r.Channel}, wireOptions())
	if err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	tail, err := json.Marshal(dlqTail{
		r.Attempts, r.FailureType, CutRunes(r.LastError, MaxErrorRunes), r.FirstFailedAt, r.LastAttemptAt,
		CutRunes(r.TraceID, MaxTextRunes), boundMeta(r.Meta),
	}, wireOptions())
	if err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	const name = `,"original_message":`
	original := r.OriginalMessage.wire()
	out := make([]byte, 0, len(head)+len(name)+len(original)+len(tail))
	out = append(out, head[:len(head)-1]...)
	out = append(out, name...)
	out = append(out, original...)
	out = append(out, ',')
	return append(out, tail[1:]...), nil
}

// DecodeDLQRecord reads a dead letter's wire form.
func DecodeDLQRecord(data []byte) (DLQRecord, error) {
	var wire struct {
		dlqHead `json:",inline"`
		dlqTail `json:",inline"`

		OriginalMessage jsontext.Value `json:"original_message"`
	}
	if err := json.Unmarshal(data, &wire); err != nil {
		return DLQRecord{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return DLQRecord{
		MessageID: wire.MessageID, Channel: wire.Channel,
		OriginalMessage: Original{raw: wire.OriginalMessage},
		Attempts:        wire.Attempts, FailureType: wire.FailureType, LastError: wire.LastError,
		FirstFailedAt: wire.FirstFailedAt, LastAttemptAt: wire.LastAttemptAt,
		TraceID: wire.TraceID, Meta: wire.Meta,
	}, nil
}

// wireOptions replaces invalid UTF-8 instead of refusing it: an event must
// always be writable.
func wireOptions() json.Options { return jsontext.AllowInvalidUTF8(true) }
