package models

import (
	"bytes"
	"fmt"
	"slices"
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
	MessageID       string            `json:"message_id"`
	Channel         Channel           `json:"channel"`
	OriginalMessage Original          `json:"original_message"`
	Attempts        int               `json:"attempts"` // at least 1
	FailureType     FailureType       `json:"failure_type"`
	LastError       string            `json:"last_error,omitzero"`
	FirstFailedAt   time.Time         `json:"first_failed_at"` // UTC
	LastAttemptAt   time.Time         `json:"last_attempt_at"` // UTC
	TraceID         string            `json:"trace_id,omitzero"`
	Meta            map[string]string `json:"meta,omitzero"` // nil when empty

	// TenantID travels as a header, not in the payload.
	TenantID string `json:"-"`
}

// Encode returns the record's wire form with its texts cut to their limits.
// The original's bytes stand in it unchanged; invalid UTF-8 elsewhere becomes
// U+FFFD.
func (r *DLQRecord) Encode() ([]byte, error) {
	w := *r
	w.OriginalMessage = Original{}
	w.LastError, w.TraceID = CutRunes(w.LastError, MaxErrorRunes), CutRunes(w.TraceID, MaxTextRunes)
	w.Meta = boundMeta(w.Meta)
	data, err := json.Marshal(&w, wireOptions())
	if err != nil {
		return nil, fmt.Errorf("encode dead letter: %w", err)
	}
	// The original is put in by hand because an encoder would reformat it. No
	// text in front of it can hold the member's name: its quotes are escaped.
	const name = `,"original_message":`
	head, tail, _ := bytes.Cut(data, []byte(name+`""`))
	return slices.Concat(head, []byte(name), r.OriginalMessage.wire(), tail), nil
}

// DecodeDLQRecord reads a dead letter's wire form.
func DecodeDLQRecord(data []byte) (r DLQRecord, err error) {
	if err := json.Unmarshal(data, &r); err != nil {
		return DLQRecord{}, fmt.Errorf("decode dead letter: %w", err)
	}
	return r, nil
}

// wireOptions replaces invalid UTF-8 instead of refusing it: an event must
// always be writable.
func wireOptions() json.Options { return jsontext.AllowInvalidUTF8(true) }
