package models

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// The short way of encoding writes what the long way does.
func FuzzEncodePlain(f *testing.F) {
	f.Add("id", "sent", 1, "ok", 201, "queued", "sid.+1555", "x", "trace", int64(1), true)
	f.Add("\xff", "q\"", 0, "", 0, "\u2028", "", "", "", int64(1e18), false)
	f.Fuzz(func(t *testing.T, id, event string, attempt int, status string, code int, message, key, value, trace string, at int64, response bool) {
		e := StatusEvent{
			MessageID: id, Channel: SMS, EventType: EventType(event), Attempt: attempt, TraceID: trace,
			Timestamp: time.Unix(0, at).UTC(),
		}
		if response {
			e.ProviderResponse = &ProviderResponse{Status: status, Code: code, Message: message}
			if key != "" {
				e.ProviderResponse.Meta = map[string]string{key: value}
			}
		}
		got, ok := e.encodePlain()
		if !ok {
			return
		}
		want, err := json.Marshal(&e, wireOptions())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the short way: %s\nthe long way:  %s, %v", got, want, err)
		}
	})
}
