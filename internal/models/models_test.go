package models_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"messaging-worker/internal/models"
)

func letter(value []byte) models.DLQRecord {
	at := time.Date(2025, 10, 16, 9, 31, 0, 5e6, time.UTC)
	return models.DLQRecord{
		MessageID: "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61", Channel: models.Email, OriginalMessage: models.NewOriginal(value),
		Attempts: 3, FailureType: models.FailurePermanent, LastError: "permanent error: smtp 550",
		FirstFailedAt: at, LastAttemptAt: at, TraceID: "t", Meta: map[string]string{"a": "b"},
	}
}

func TestDeadLetterOnTheWire(t *testing.T) {
	t.Parallel()
	rec := letter([]byte(` {"b": 1.50, "a":[ ]}` + "\n"))
	got, err := rec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"message_id":"1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61","channel":"email","original_message":{"b": 1.50, "a":[ ]},` +
		`"attempts":3,"failure_type":"permanent","last_error":"permanent error: smtp 550",` +
		`"first_failed_at":"2025-10-16T09:31:00.005Z","last_attempt_at":"2025-10-16T09:31:00.005Z","trace_id":"t","meta":{"a":"b"}}`
	if string(got) != want {
		t.Errorf("Encode() = %s\nwant %s", got, want)
	}
}

func TestOriginalIsAnObjectOrBase64(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		value  string
		object bool
	}{
		{"object", `{"a":1}`, true},
		{"object in white space", "\t\r {}\n", true},
		{"array", `[1]`, false},
		{"text", `hello`, false},
		{"null", `null`, false},
		{"two objects", `{}{}`, false},
		{"repeated names", `{"a":1,"a":1}`, false},
		{"repeated names inside", `{"x":{"a":1,"a":1}}`, false},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", false},
		{"lone surrogate", `{"a":"\ud800"}`, false},
		{"1000 deep", strings.Repeat(`{"a":`, 999) + "{}" + strings.Repeat("}", 999), true},
		{"1001 deep", strings.Repeat(`{"a":`, 1000) + "{}" + strings.Repeat("}", 1000), false},
		{"many brackets in a string", `{"a":"` + strings.Repeat("[{", 5000) + `"}`, true},
		{"many objects side by side", `{"a":[` + strings.TrimSuffix(strings.Repeat("{},", 5000), ",") + `]}`, true},
		{"escaped quote before brackets", `{"a":"\"` + strings.Repeat("[", 2000) + `\\"}`, true},
	}
	for _, space := range notJSONSpace() {
		tests = append(tests, []struct {
			name   string
			value  string
			object bool
		}{
			{fmt.Sprintf("%q behind", space), `{"a":1}` + space, false},
			{fmt.Sprintf("%q behind a space", space), `{"a":1} ` + space, false},
			{fmt.Sprintf("%q in front", space), space + `{"a":1}`, false},
			{fmt.Sprintf("%q inside", space), `{` + space + `"a":1}`, false},
		}...)
	}
	for _, tt := range tests {
		rec := letter([]byte(tt.value))
		data, err := rec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var wire map[string]json.RawMessage
		if err := json.Unmarshal(data, &wire); err != nil {
			t.Fatalf("%s: not JSON: %v", tt.name, err)
		}
		got := string(wire["original_message"])
		want := `"` + base64.StdEncoding.EncodeToString([]byte(tt.value)) + `"`
		if tt.object {
			want = strings.Trim(tt.value, " \t\r\n")
		}
		if got != want {
			t.Errorf("%s: original_message = %.80s, want %.80s", tt.name, got, want)
		}
	}
}

// notJSONSpace lists what other rules take for white space, or for nothing at
// all, and JSON does not.
func notJSONSpace() []string {
	return []string{"\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u3000", "\u200b", "\ufeff", "\x00", "\x1f"}
}

func TestNullValueIsAnEmptyString(t *testing.T) {
	t.Parallel()
	rec := letter(nil)
	data, _ := rec.Encode()
	if !bytes.Contains(data, []byte(`"original_message":"",`)) {
		t.Errorf("Encode() = %s, want an empty original_message", data)
	}
}

// Lossless for any bytes: what goes in comes out, but for the white space of
// JSON around an object.
func FuzzOriginalRoundTrip(f *testing.F) {
	for _, s := range []string{"", "{}", `{"a":1e5}`, " {\"a\": \"\\u00e4\"} ", "\x00\xff", `"text"`, "{", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	for _, space := range notJSONSpace() {
		f.Add([]byte("{}" + space))
		f.Add([]byte(space + "{} "))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		rec := letter(value)
		data, err := rec.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("not valid JSON: %q", data)
		}
		back, err := models.DecodeDLQRecord(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := back.OriginalMessage.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		want := value
		if trimmed := bytes.Trim(value, " \t\r\n"); models.IsObject(trimmed) {
			want = trimmed
			if !json.Valid(value) {
				t.Fatalf("%q is no JSON, and has become an object", value)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("round trip of %q = %q", value, got)
		}
	})
}

func TestStatusEventOnTheWire(t *testing.T) {
	t.Parallel()
	ev := models.StatusEvent{
		MessageID: "m", Channel: models.SMS, EventType: models.EventFailed, Attempt: 3,
		ProviderResponse: &models.ProviderResponse{Status: models.StatusRateLimited, Code: 429, Message: "Twilio 20429: Rate limit exceeded"},
		Error:            "transient error: http 429", TraceID: "trace-123", TenantID: "acme",
		Timestamp: time.Date(2025, 10, 16, 9, 35, 45, 123e6, time.UTC),
	}
	got, err := ev.Encode()
	want := `{"message_id":"m","channel":"sms","event_type":"failed","attempt":3,` +
		`"provider_response":{"status":"rate_limited","code":429,"message":"Twilio 20429: Rate limit exceeded"},` +
		`"error":"transient error: http 429","trace_id":"trace-123","timestamp":"2025-10-16T09:35:45.123Z"}`
	if err != nil || string(got) != want {
		t.Errorf("Encode() = %s, %v\nwant %s", got, err, want)
	}
}

func TestTextsAreCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	ev := models.StatusEvent{
		TraceID: long, Error: long, Timestamp: time.Now(),
		ProviderResponse: &models.ProviderResponse{Message: long, Raw: long, Meta: map[string]string{"a": long, models.MetaOpenRecipients: long}},
	}
	data, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		TraceID string `json:"trace_id"`
		Error   string `json:"error"`
		Resp    struct {
			Message, Raw string
			Meta         map[string]string
		} `json:"provider_response"`
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{
		"trace_id": utf8.RuneCountInString(got.TraceID), "message": utf8.RuneCountInString(got.Resp.Message),
		"raw": utf8.RuneCountInString(got.Resp.Raw), "meta": utf8.RuneCountInString(got.Resp.Meta["a"]),
	} {
		if n != 1024 {
			t.Errorf("%s has %d runes, want 1024", name, n)
		}
	}
	if n := utf8.RuneCountInString(got.Error); n != 4096 {
		t.Errorf("error has %d runes, want 4096", n)
	}
	if got.Resp.Meta[models.MetaOpenRecipients] != long {
		t.Error("open_recipients was cut: it would name the wrong recipients")
	}
	if ev.ProviderResponse.Meta["a"] != long {
		t.Error("Encode changed the event itself")
	}
}

func TestInvalidUTF8IsWritable(t *testing.T) {
	t.Parallel()
	ev := models.StatusEvent{MessageID: "a\xffb", Error: "\xc3", Timestamp: time.Now()}
	if data, err := ev.Encode(); err != nil || !utf8.Valid(data) {
		t.Errorf("Encode() = %q, %v, want valid UTF-8", data, err)
	}
}

func TestTraceParent(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	tests := []struct{ value, want string }{
		{good, "4bf92f3577b34da6a3ce929d0e0e4736"},
		{"", ""},
		{"01" + good[2:], ""},
		{strings.ToUpper(good), ""},
		{good + "-x", ""},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
		{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ""},
	}
	for _, tt := range tests {
		rec := models.Record{Headers: []models.Header{{Key: "traceparent", Value: []byte(tt.value)}}}
		if got := rec.TraceID(); got != tt.want {
			t.Errorf("TraceID() of %q = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestFallbackID(t *testing.T) {
	t.Parallel()
	const place = "requests/3/42"
	tests := []struct {
		name string
		key  []byte
		want string
	}{
		{"no key", nil, place},
		{"empty key", []byte{}, place},
		{"text", []byte("order-1"), "order-1"},
		{"not UTF-8", []byte{0xff}, place},
		{"1024 bytes", bytes.Repeat([]byte("k"), 1024), strings.Repeat("k", 1024)},
		{"1025 bytes", bytes.Repeat([]byte("k"), 1025), place},
	}
	for _, tt := range tests {
		rec := models.Record{Topic: "requests", Partition: 3, Offset: 42, Key: tt.key}
		if got := rec.FallbackID(); got != tt.want {
			t.Errorf("%s: FallbackID() = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCutRunes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		s    string
		n    int
		want string
	}{{"äöü", 2, "äö"}, {"abc", 3, "abc"}, {"abc", 0, ""}, {"a\xff\xffb", 2, "a\xff"}, {"", 5, ""}}
	for _, tt := range tests {
		if got := models.CutRunes(tt.s, tt.n); got != tt.want {
			t.Errorf("CutRunes(%q, %d) = %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}
