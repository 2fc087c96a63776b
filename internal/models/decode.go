package models

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// DecodeEvent reads a record of a status topic, with what of the event travels
// as headers. Its error means that the record is no event.
func DecodeEvent[H header](value []byte, headers []H) (StatusEvent, error) {
	ev, ok := decodePlain(value)
	if !ok {
		ev = StatusEvent{}
		if err := json.Unmarshal(value, &ev); err != nil {
			return StatusEvent{}, fmt.Errorf("decode status event: %w", err)
		}
	}
	for i := range headers {
		switch h := Header(headers[i]); h.Key {
		case HeaderTenantID:
			ev.TenantID = string(h.Value)
		case HeaderAttemptRun:
			ev.Run, _ = strconv.Atoi(string(h.Value)) // foreign text is a first run
		}
	}
	return ev, nil
}

// decodePlain reads what Encode writes of events whose texts need no escapes,
// as those of nearly all are: the decoder for everything is what reading a long
// journal would wait for. It reports false for everything else, which may be an
// event all the same.
func decodePlain(data []byte) (ev StatusEvent, ok bool) {
	r := reader{rest: string(data)} // the event's texts are parts of it
	r.must(`{"message_id":"`)
	ev.MessageID = r.text()
	r.must(`,"channel":"`)
	ev.Channel = Channel(r.text())
	r.must(`,"event_type":"`)
	ev.EventType = EventType(r.text())
	r.must(`,"attempt":`)
	ev.Attempt = r.number()
	if r.skip(`,"provider_response":{`) {
		ev.ProviderResponse = r.response()
	}
	if r.skip(`,"error":"`) {
		ev.Error = r.text()
	}
	if r.skip(`,"trace_id":"`) {
		ev.TraceID = r.text()
	}
	r.must(`,"timestamp":"`)
	ev.Timestamp = r.utc()
	r.must(`"}`)
	return ev, !r.bad && r.rest == ""
}

// reader takes JSON apart from the left. What it cannot read makes it bad.
type reader struct {
	rest string
	bad  bool
}

// skip passes a literal, and reports whether it is there.
func (r *reader) skip(literal string) bool {
	rest, ok := strings.CutPrefix(r.rest, literal)
	r.rest = rest
	return ok
}

func (r *reader) must(literal string) {
	if !r.skip(literal) {
		r.bad = true
	}
}

// text reads a string without escapes behind its first quote.
func (r *reader) text() string {
	for i := range len(r.rest) {
		switch c := r.rest[i]; {
		case c == '"':
			text := r.rest[:i]
			r.rest = r.rest[i+1:]
			return text
		case c < ' ', c == '\\', c >= utf8.RuneSelf:
			r.bad = true
			return ""
		}
	}
	r.bad = true
	return ""
}

// number reads a decimal of at most nine digits.
func (r *reader) number() int {
	i := 0
	for i < len(r.rest) && r.rest[i] >= '0' && r.rest[i] <= '9' {
		i++
	}
	digits := r.rest[:i]
	r.rest = r.rest[i:]
	n, err := strconv.Atoi(digits)
	if err != nil || i > 9 || i > 1 && digits[0] == '0' {
		r.bad = true
	}
	return n
}

// utc reads a time up to its last quote. The library takes an hour of one digit,
// which RFC 3339 does not.
func (r *reader) utc() (at time.Time) {
	const hour = len("2006-01-02T15")
	i := strings.IndexByte(r.rest, 'Z') + 1
	if i <= hour || r.rest[hour] != ':' {
		r.bad = true
		return at
	}
	at, err := time.Parse(time.RFC3339Nano, r.rest[:i])
	r.bad = r.bad || err != nil || r.rest[:i][hour+len(":04:05")] == ','
	r.rest = r.rest[i:]
	return at
}

// response reads a provider response behind its brace.
func (r *reader) response() *ProviderResponse {
	resp := &ProviderResponse{}
	separator := ""
	member := func(name string) bool {
		if !r.skip(separator + name) {
			return false
		}
		separator = ","
		return true
	}
	if member(`"status":"`) {
		resp.Status = r.text()
	}
	if member(`"code":`) {
		resp.Code = r.number()
	}
	if member(`"message":"`) {
		resp.Message = r.text()
	}
	if member(`"raw":"`) {
		resp.Raw = r.text()
	}
	if member(`"meta":{`) {
		resp.Meta = r.meta()
	}
	r.must(`}`)
	return resp
}

// meta reads a map of texts behind its brace. A repeated name is no JSON.
func (r *reader) meta() map[string]string {
	meta := map[string]string{}
	for more := !r.skip(`}`); more && !r.bad; {
		r.must(`"`)
		key := r.text()
		r.must(`:"`)
		if _, repeated := meta[key]; repeated {
			r.bad = true
		}
		meta[key] = r.text()
		if more = r.skip(`,`); !more {
			r.must(`}`)
		}
	}
	return meta
}
