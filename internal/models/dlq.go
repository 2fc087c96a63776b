package models

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
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

// MaxDepth is how deep a request may nest its objects and arrays, the request
// itself counted.
const MaxDepth = 1000

// Original is a request record's value inside a dead letter, lossless for any
// bytes: a JSON object as it stands, anything else as base64. So a JSON string
// there is always base64. The zero Original is the empty string: no value.
type Original struct{ raw []byte }

// NewOriginal wraps a record's value; nil is a null value. It keeps a
// reference to value, which must not change afterwards.
func NewOriginal(value []byte) Original {
	if trimmed := TrimSpace(value); IsObject(trimmed) {
		return Original{raw: trimmed}
	}
	raw := make([]byte, 0, base64.StdEncoding.EncodedLen(len(value))+2)
	raw = append(raw, '"')
	raw = base64.StdEncoding.AppendEncode(raw, value)
	return Original{raw: append(raw, '"')}
}

// TrimSpace returns value without the white space around it that JSON knows
// (RFC 8259, 2). Unicode has more, and bytes.TrimSpace cuts that too; such a
// value is not JSON, and none of its bytes may get lost.
func TrimSpace(value []byte) []byte { return bytes.Trim(value, " \t\r\n") }

// Bytes returns the record's value again: exact for base64, the object's text
// without the white space around it for an object.
func (o Original) Bytes() ([]byte, error) {
	if len(o.raw) > 0 && o.raw[0] == '{' {
		return o.raw, nil
	}
	var value []byte
	if err := json.Unmarshal(o.wire(), &value); err != nil {
		return nil, fmt.Errorf("read original_message: %w", err)
	}
	return value, nil
}

// MarshalJSON returns what stands for the original in a dead letter.
func (o Original) MarshalJSON() ([]byte, error) { return o.wire(), nil }

// UnmarshalJSON takes what stands for the original in a dead letter.
func (o *Original) UnmarshalJSON(wire []byte) error {
	o.raw = bytes.Clone(wire)
	return nil
}

func (o Original) wire() []byte {
	if len(o.raw) == 0 {
		return []byte(`""`)
	}
	return o.raw
}

// IsObject reports whether value is exactly one JSON object: valid UTF-8
// without lone surrogates, no repeated names, at most MaxDepth deep, nothing
// behind it.
func IsObject(value []byte) bool {
	if len(value) == 0 || value[0] != '{' || TooDeep(value) {
		return false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(value))
	if err := dec.SkipValue(); err != nil {
		return false
	}
	_, err := dec.ReadToken()
	return err == io.EOF //nolint:errorlint // the decoder returns io.EOF itself, wrapped errors are syntax errors
}

// TooDeep reports whether value nests deeper than MaxDepth. It counts brackets
// outside of strings, so the answer is exact for valid JSON and only a guess
// for anything else.
func TooDeep(value []byte) bool {
	if bytes.Count(value, []byte{'{'})+bytes.Count(value, []byte{'['}) <= MaxDepth {
		return false
	}
	depth, inString := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
