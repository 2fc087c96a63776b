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
func DecodeEvent[H header](value []byte, headers []H) (ev StatusEvent, err error) {
	if err := json.Unmarshal(value, &ev); err != nil {
		return StatusEvent{}, fmt.Errorf("decode status event: %w", err)
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

// DecodeStep is DecodeEvent for who asks how far a message got: it leaves out
// all but the type, the attempt with its run, the time, and the meta of a
// retry's response. What it leaves out may be anything, in a foreign event.
func DecodeStep[H header](value []byte, headers []H) (StatusEvent, error) {
	ev, ok := decodePlain(value)
	if !ok {
		var err error
		if ev, err = decodeMembers(value); err != nil {
			return StatusEvent{}, fmt.Errorf("decode status event: %w", err)
		}
	}
	for i := range headers {
		if h := Header(headers[i]); h.Key == HeaderAttemptRun {
			ev.Run, _ = strconv.Atoi(string(h.Value))
		}
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

// decodePlain is decodeMembers for what Encode writes of events whose texts
// need no escapes, as those of nearly all are: the decoder for everything is
// what reading a long journal would wait for. It reports false for everything
// else, which may be an event all the same.
func decodePlain(data []byte) (ev StatusEvent, ok bool) {
	r := reader{rest: data}
	r.must(`{"message_id":"`)
	r.text()
	r.must(`,"channel":"`)
	r.text()
	r.must(`,"event_type":"`)
	ev.EventType = eventType(r.text())
	r.must(`,"attempt":`)
	ev.Attempt = r.number()
	if r.skip(`,"provider_response":{`) {
		ev.ProviderResponse = r.response(ev.EventType == EventRetry)
	}
	if r.skip(`,"error":"`) {
		r.text()
	}
	if r.skip(`,"trace_id":"`) {
		r.text()
	}
	r.must(`,"timestamp":"`)
	ev.Timestamp = r.utc()
	r.must(`}`)
	return ev, !r.bad && len(r.rest) == 0
}

// eventType is the conversion, without a copy for those that are known.
func eventType(text []byte) EventType {
	for _, t := range EventTypes() {
		if string(text) == string(t) {
			return t
		}
	}
	return EventType(text)
}

// reader takes JSON apart from the left. What it cannot read makes it bad.
type reader struct {
	rest []byte
	bad  bool
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

// text reads a string without escapes behind its first quote.
func (r *reader) text() []byte {
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
	text := r.text()
	if len(text) <= hour || text[hour] != ':' || text[len(text)-1] != 'Z' || bytes.IndexByte(text, ',') >= 0 || at.UnmarshalText(text) != nil {
		r.bad = true
	}
	return at
}

// response reads a provider response behind its brace, and returns its meta if
// that is wanted.
func (r *reader) response(wanted bool) *ProviderResponse {
	var meta map[string]string
	separator := ""
	for _, name := range [...]string{`"status":"`, `"code":`, `"message":"`, `"raw":"`, `"meta":{`} {
		before := r.rest
		if !r.skip(separator) || !r.skip(name) {
			r.rest = before
			continue
		}
		separator = ","
		switch name[len(name)-1] {
		case '"':
			r.text()
		case ':':
			r.number()
		case '{':
			meta = r.meta(wanted)
		}
	}
	r.must(`}`)
	if !wanted {
		return nil
	}
	return &ProviderResponse{Meta: meta}
}

// meta reads a map of texts behind its brace, and returns it if it is wanted. A
// repeated name is no JSON.
func (r *reader) meta(wanted bool) (meta map[string]string) {
	if wanted {
		meta = map[string]string{}
	}
	if r.skip(`}`) {
		return meta
	}
	var names [16][]byte // more are left to the decoder for everything
	for n := range names {
		r.must(`"`)
		name := r.text()
		r.must(`:"`)
		value := r.text()
		for _, earlier := range names[:n] {
			r.bad = r.bad || bytes.Equal(earlier, name)
		}
		names[n] = name
		if wanted {
			meta[string(name)] = string(value)
		}
		if !r.skip(`,`) {
			r.must(`}`)
			return meta
		}
	}
	r.bad = true
	return meta
}
