package models_test

import (
	"maps"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
)

// FuzzDecodeEvent holds the decoder against the one for everything: what they
// take and what they make of it are the same. A step's decoder asks for fewer
// members.
func FuzzDecodeEvent(f *testing.F) {
	for _, ev := range []models.StatusEvent{
		{EventType: models.EventQueued},
		{EventType: models.EventAttempt, Attempt: 1, TraceID: "t"},
		{EventType: models.EventSent, Attempt: 12, ProviderResponse: &models.ProviderResponse{Status: "ok", Code: 250, Message: "2.0.0 Ok", Meta: map[string]string{"a": "b", "c": ""}}},
		{EventType: models.EventRetry, Attempt: 1, Error: "transient error: http 503", ProviderResponse: &models.ProviderResponse{Raw: "busy"}},
		{EventType: models.EventFailed, Error: "a \"quoted\" größe", ProviderResponse: &models.ProviderResponse{Meta: map[string]string{}}},
	} {
		ev.MessageID, ev.Channel, ev.Timestamp = "m", models.Email, time.Date(2025, 10, 16, 9, 0, 0, 123, time.UTC)
		data, err := ev.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		"", "null", `{"event_type":"sent","attempt":1}`, `{"message_id":"m","channel":"c","event_type":"sent","attempt":01,"timestamp":"2025-10-16T09:00:00Z"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"provider_response":{"code":1,"meta":{"a":"b","a":"c"}},"timestamp":"2025-10-16T09:00:00Z"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"provider_response":{,"code":1},"timestamp":"2025-10-16T09:00:00Z"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"provider_response":{"meta":{"a":"b",}},"timestamp":"2025-10-16T09:00:00Z"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"timestamp":"2025-10-16T9:00:00Z"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"timestamp":"2025-10-16T09:00:00+00:00"}`,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"timestamp":"2025-10-16T09:00:00Z"} `,
		`{"message_id":"m","channel":"c","event_type":"sent","attempt":1,"timestamp":"2025-10-16T09:00:00Z"}}`,
		`{"message_id":1,"event_type":"retry","attempt":1,"provider_response":{"code":2e0,"meta":{"a":"b"}},"timestamp":"2025-10-16T09:00:00Z"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want models.StatusEvent
		wantErr := json.Unmarshal(data, &want)
		got, err := models.DecodeEvent(data, []models.Header(nil))
		if (err == nil) != (wantErr == nil) || err == nil && !cmp.Equal(got, want) {
			t.Errorf("DecodeEvent(%q) = %+v, %v, want %+v, %v", data, got, err, want, wantErr)
		}
		var part struct {
			Type      models.EventType `json:"event_type"`
			Attempt   int              `json:"attempt"`
			Timestamp time.Time        `json:"timestamp"`
			Response  struct {
				Meta map[string]string `json:"meta"`
			} `json:"provider_response"`
		}
		partErr := json.Unmarshal(data, &part)
		step, err := models.DecodeStep(data, []models.Header(nil))
		same := step.EventType == part.Type && step.Attempt == part.Attempt && step.Timestamp.Equal(part.Timestamp)
		if same && step.EventType == models.EventRetry && step.ProviderResponse != nil {
			same = maps.Equal(step.ProviderResponse.Meta, part.Response.Meta)
		}
		if (err == nil) != (partErr == nil) || err == nil && !same {
			t.Errorf("DecodeStep(%q) = %+v, %v, want of %+v, %v", data, step, err, part, partErr)
		}
	})
}

// What of an event travels as headers, and who it is about, is read as
// Record.Header reads: the last of a name counts.
func TestDecodeHeaders(t *testing.T) {
	t.Parallel()
	headers := func(pairs ...string) (list []models.Header) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, models.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
		return list
	}
	whole := headers("source-topic", "r", "source-partition", "3", "source-offset", "x", "source-timestamp", "-1", "tenant-id", "a", "tenant-id", "b", "attempt-run", "2")
	ev, err := models.DecodeEvent([]byte(`{"event_type":"attempt","attempt":1}`), whole)
	if err != nil || ev.TenantID != "b" || ev.Run != 2 {
		t.Errorf("DecodeEvent = %+v, %v, want the last tenant and run 2", ev, err)
	}
	tests := []struct {
		name    string
		headers []models.Header
		want    models.Source
		ok      bool
	}{
		{"none", nil, models.Source{Partition: -1, Offset: -1, Timestamp: -1}, false},
		{"one is no number", whole, models.Source{Topic: "r", Partition: 3, Offset: -1, Timestamp: -1}, false},
		{"the last is one", append(whole, headers("source-offset", "7")...), models.Source{Topic: "r", Partition: 3, Offset: 7, Timestamp: -1}, true},
		{"beyond 32 bits", append(whole, headers("source-offset", "7", "source-partition", "4294967296")...), models.Source{Topic: "r", Partition: -1, Offset: 7, Timestamp: -1}, false},
	}
	for _, tt := range tests {
		if got, ok := models.SourceOf(tt.headers); got != tt.want || ok != tt.ok {
			t.Errorf("%s: SourceOf = %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
