package models

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// DecodeEvent reads a record of a status topic, with what of the event travels
// as headers. Its error means that the record is no event.
func DecodeEvent[H header](value []byte, headers []H) (StatusEvent, error) {
	return decode(value, headers, false)
}

// DecodeStep is DecodeEvent for who asks how far a message got: it may leave out
// all but the type, the attempt with its run, the time, and the meta of a
// retry's response. What it leaves out may be anything, in a foreign event.
func DecodeStep[H header](value []byte, headers []H) (StatusEvent, error) {
	return decode(value, headers, true)
}

func decode[H header](value []byte, headers []H, step bool) (ev StatusEvent, err error) {
	if !decodePlain(value, &ev, step) {
		if ev, err = decodeAny(value, step); err != nil {
			return ev, err
		}
	}
	for i := range headers {
		switch h := Header(headers[i]); h.Key {
		case HeaderTenantID:
			if !step {
				ev.TenantID = string(h.Value)
			}
		case HeaderAttemptRun:
			ev.Run, _ = strconv.Atoi(string(h.Value)) // foreign text is a first run
		}
	}
	return ev, nil
}

func decodeAny(value []byte, step bool) (ev StatusEvent, err error) {
	if step {
		ev, err = decodeMembers(value)
	} else {
		err = json.Unmarshal(value, &ev)
	}
	if err != nil {
		return StatusEvent{}, fmt.Errorf("decode status event: %w", err)
	}
	return ev, nil
}

func decodeMembers(value []byte) (StatusEvent, error) {
	var w struct {
		Type      EventType `json:"event_type"`
		Attempt   int       `json:"attempt"`
		Timestamp time.Time `json:"timestamp"`
		Response  struct {
			Meta map[string]string `json:"meta"`
		} `json:"provider_response"`
	}
	err := json.Unmarshal(value, &w)
	return StatusEvent{EventType: w.Type, Attempt: w.Attempt, Timestamp: w.Timestamp, ProviderResponse: &ProviderResponse{Meta: w.Response.Meta}}, err
}

// decodePlain reads what Encode writes of events whose texts need no escapes,
// as those of nearly all are: the decoder for everything is what reading a long
// journal would wait for. It reports false for everything else, which may be an
// event all the same.
func decodePlain(data []byte, ev *StatusEvent, step bool) bool {
	r := reader{rest: data, check: step}
	r.must(`{"message_id":"`)
	ev.MessageID = r.text()
	r.must(`,"channel":"`)
	ev.Channel = Channel(r.text())
	r.must(`,"event_type":"`)
	ev.EventType = eventType(r.bytes())
	r.must(`,"attempt":`)
	ev.Attempt = r.number()
	r.check = step && ev.EventType != EventRetry
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
	r.must(`}`)
	return !r.bad && len(r.rest) == 0
}

// eventType is the conversion, without a copy for those that are known.
func eventType(text []byte) EventType {
	for _, t := range [...]EventType{EventQueued, EventAttempt, EventRetry, EventSent, EventFailed} {
		if string(text) == string(t) {
			return t
		}
	}
	return EventType(text)
}

// reader takes JSON apart from the left. What it cannot read makes it bad.
type reader struct {
	rest  []byte
	check bool // texts and responses are checked and not returned
	bad   bool
}

// skip passes a literal, and reports whether it is there.
func (r *reader) skip(literal string) bool {
	if len(r.rest) < len(literal) || string(r.rest[:len(literal)]) != literal {
		return false
	}
	r.rest = r.rest[len(literal):]
	return true
}

func (r *reader) must(literal string) {
	if !r.skip(literal) {
		r.bad = true
	}
}

// bytes reads a string without escapes behind its first quote.
func (r *reader) bytes() []byte {
	for i, c := range r.rest {
		switch {
		case c == '"':
			text := r.rest[:i]
			r.rest = r.rest[i+1:]
			return text
		case c < ' ', c == '\\', c >= utf8.RuneSelf:
			r.bad = true
			return nil
		}
	}
	r.bad = true
	return nil
}

func (r *reader) text() string {
	text := r.bytes()
	if r.check {
		return ""
	}
	return string(text)
}

// number reads a decimal of at most nine digits.
func (r *reader) number() (n int) {
	i := 0
	for ; i < len(r.rest) && r.rest[i] >= '0' && r.rest[i] <= '9' && i < 10; i++ {
		n = 10*n + int(r.rest[i]-'0')
	}
	if i == 0 || i > 9 || i > 1 && r.rest[0] == '0' {
		r.bad = true
	}
	r.rest = r.rest[i:]
	return n
}

// utc reads a time behind its first quote. The library takes an hour of one
// digit and a comma, which RFC 3339 does not.
func (r *reader) utc() (at time.Time) {
	const hour = len("2006-01-02T15")
	text := r.bytes()
	if len(text) <= hour || text[hour] != ':' || text[len(text)-1] != 'Z' || bytes.IndexByte(text, ',') >= 0 || at.UnmarshalText(text) != nil {
		r.bad = true
	}
	return at
}

// response reads a provider response behind its brace.
func (r *reader) response() *ProviderResponse {
	var resp ProviderResponse
	first := true
	member := func(name string) bool {
		before := r.rest
		if (first || r.skip(`,`)) && r.skip(name) {
			first = false
			return true
		}
		r.rest = before
		return false
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
	if r.check {
		return nil
	}
	return new(resp)
}

// meta reads a map of texts behind its brace. A repeated name is no JSON.
func (r *reader) meta() map[string]string {
	var meta map[string]string
	if !r.check {
		meta = map[string]string{}
	}
	var names [16][]byte // more are left to the decoder for everything
	n := 0
	for more := !r.skip(`}`); more && !r.bad; n++ {
		r.must(`"`)
		name := r.bytes()
		r.must(`:"`)
		value := r.text()
		r.bad = r.bad || n == len(names)
		if r.bad {
			return nil
		}
		for _, earlier := range names[:n] {
			r.bad = r.bad || bytes.Equal(earlier, name)
		}
		names[n] = name
		if meta != nil {
			meta[string(name)] = value
		}
		if more = r.skip(`,`); !more {
			r.must(`}`)
		}
	}
	return meta
}
