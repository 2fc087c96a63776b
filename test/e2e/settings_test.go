package e2e_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/test/stage"
)

const (
	settingsAccount = "AC00000000000000000000000000000001"
	settingsKey     = "SK00000000000000000000000000000001"
	settingsSecret  = "s3cr3t"
)

// A setting that is parsed and goes nowhere is worse than none: these go from
// the worker's environment to what the provider is sent.
func TestSettingsReachTheProvider(t *testing.T) {
	t.Parallel()
	const sid = "HX00000000000000000000000000000001"
	now := time.Now().UTC().Format(time.RFC3339)
	order := map[string]any{"body": map[string]string{"type": "template", "content": "order"}, "meta": map[string]string{"template.1": "A12345"}}
	code := map[string]any{
		"body": map[string]string{"type": "template", "content": "otp"}, "meta": map[string]string{"template.1": "123456", "template.button.0": "123456"},
	}
	tests := []struct {
		name     string
		channel  models.Channel
		server   *fake.Server
		settings map[string]string
		edits    map[string]any
		want     map[string]string // fields; a value that ends with * is how it begins
	}{
		{"twilio, key and service", models.SMS, fake.Twilio(settingsAccount, settingsKey, settingsSecret), map[string]string{
			"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": settingsAccount, "TWILIO_API_KEY_SID": settingsKey, "TWILIO_API_KEY_SECRET": settingsSecret,
			"TWILIO_MESSAGING_SERVICE_SID": "MG00000000000000000000000000000001", "TWILIO_STATUS_CALLBACK_URL": "https://example.com/cb/",
			"MESSAGE_MAX_AGE_SECONDS": "3600",
		}, map[string]any{"created_at": now}, map[string]string{
			"MessagingServiceSid": "MG00000000000000000000000000000001", "StatusCallback": "https://example.com/cb/?message_id=*", "ValidityPeriod": "3*",
		}},
		{"twilio, templates", models.WhatsApp, fake.Twilio(settingsAccount, settingsAccount, settingsSecret), map[string]string{
			"WHATSAPP_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": settingsAccount, "TWILIO_AUTH_TOKEN": settingsSecret, "TWILIO_CONTENT_SIDS": "order=" + sid,
		}, order, map[string]string{"ContentSid": sid, "ContentVariables": `{"1":"A12345"}`}},
		{"meta", models.WhatsApp, fake.Meta("v24.0", settingsSecret, "200"), map[string]string{ // a call for another number would be refused
			"WHATSAPP_PROVIDER": "meta", "META_ACCESS_TOKEN": settingsSecret, "META_PHONE_NUMBER_ID": "100", "META_PHONE_NUMBER_IDS": "+15551234567=200",
			"META_CALLBACK_DATA": "true", "META_API_VERSION": "v24.0",
		}, code, map[string]string{
			"biz_opaque_callback_data": "*", "template.name": "otp", "template.components.sub_type": "url", "template.components.index": "0",
			"template.components.parameters.text": "123456",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.server)
			t.Cleanup(server.Close)
			settings := maps.Clone(tt.settings)
			settings["TWILIO_BASE_URL"], settings["META_BASE_URL"] = server.URL, server.URL
			s := stage.New(t, tt.channel, stage.Options{Partitions: 1})
			s.Work(settings)
			id := s.PutOne(tt.edits)
			if events := s.Events(1)[id]; events[len(events)-1].EventType != models.EventSent {
				t.Fatalf("ends with %+v", events[len(events)-1])
			}
			sent := tt.server.Ledger()[0].Sent
			for field, want := range tt.want {
				begin, open := strings.CutSuffix(want, "*")
				if got := sent[field]; got == "" || !strings.HasPrefix(got, begin) || !open && got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			if data := sent["biz_opaque_callback_data"]; data != "" && data != id {
				t.Errorf("callback data %q, want the message id", data)
			}
		})
	}
}

// A token that is refused pauses the channel, and readiness says so; once its
// file holds the right one, all goes on without a restart and nothing was
// spent.
func TestRotatedTokenHealsTheChannel(t *testing.T) {
	t.Parallel()
	f := fake.Twilio(settingsAccount, settingsAccount, settingsSecret)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("an old one")
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	w := s.Work(map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_BASE_URL": server.URL, "TWILIO_ACCOUNT_SID": settingsAccount, "TWILIO_AUTH_TOKEN_FILE": token,
		"BREAKER_OPEN_SECONDS": "0.2", "BREAKER_FAILURES": "1", "HEALTH_ENABLE_PROVIDER_PROBE": "true",
	})
	stage.Eventually(t, func() string { // nothing was sent: only a probe can show it
		if _, body := w.Get("/healthz/ready"); !regexp.MustCompile(`"provider":\{"status":"unavailable","[^}]*\b401\b`).MatchString(body) {
			return "the probe has not found that the token is wrong: " + body
		}
		return ""
	})
	ids := s.PutMany(5)
	stage.Eventually(t, func() string {
		if _, body := w.Get("/healthz/ready"); !strings.Contains(body, `"breaker":{"status":"unavailable"`) {
			return "the breaker is not open: " + body
		}
		return ""
	})
	write(settingsSecret)
	for id, events := range s.Events(len(ids)) {
		if last := events[len(events)-1]; last.EventType != models.EventSent {
			t.Errorf("%s: %s", id, stage.Sequence(events))
		}
	}
	w.WaitReady(http.StatusOK)
}

// Rates hold in a worker: of the process, and of each sender.
func TestRateSettings(t *testing.T) {
	t.Parallel()
	const rate, messages = 10, 30
	for _, name := range []string{"PROVIDER_RATE_PER_SECOND", "SENDER_RATE_PER_SECOND"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 4})
			s.PutMany(messages)
			ledger := filepath.Join(t.TempDir(), "ledger")
			s.Work(map[string]string{name: strconv.Itoa(rate), "MOCK_LEDGER_FILE": ledger, "WORKER_CONCURRENCY": "50"})
			// Each attempt is written before its call may start, and its line
			// in the ledger is written after: whatever stands still for a
			// moment makes the time between them longer.
			var first, last time.Time
			for _, events := range s.Events(messages) {
				for _, e := range events {
					if e.EventType == models.EventAttempt && (first.IsZero() || e.Timestamp.Before(first)) {
						first = e.Timestamp
					}
				}
			}
			data, err := os.ReadFile(ledger)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(data)) {
				at, err := time.Parse(time.RFC3339Nano, strings.Fields(line)[0])
				if err != nil {
					t.Fatal(err)
				}
				if at.After(last) {
					last = at
				}
			}
			// One second's worth goes at once, the rest at the rate.
			if least := (messages - rate) * time.Second / rate; last.Sub(first) < least {
				t.Errorf("%d calls within %v, want at least %v", messages, last.Sub(first), least)
			}
		})
	}
}

// Limits of requests are settings.
func TestLimitSettings(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	s.Work(map[string]string{
		"RECIPIENTS_MAX": "2", "SMS_BODY_MAX": "5", "METADATA_MAX_ENTRIES": "1", "METADATA_KEY_MAX_RUNES": "3", "METADATA_VALUE_MAX_RUNES": "4", "MSG_MAX_BYTES": "400",
	})
	long := map[string]any{
		"to":   []string{"+15550000001", "+15550000002", "+15550000003"},
		"body": map[string]string{"content": "hello!"},
		"meta": map[string]string{"long": "a", "b": "value"},
	}
	wrong, large := s.PutOne(long), s.PutOne(map[string]any{"unknown": strings.Repeat("x", 400)})
	right := s.PutOne(map[string]any{"body": map[string]string{"content": "hello"}, "meta": map[string]string{"key": "four"}})
	events := s.Events(3)
	said := events[wrong][0].Error
	for _, part := range []string{"to: 3 recipients, at most 2", "body.content: longer than 5 runes", "meta: 2 entries, at most 1", `meta["long"]: key longer than 3 runes`, `meta["b"]: longer than 4 runes`} {
		if !strings.Contains(said, part) {
			t.Errorf("%q does not say %q", said, part)
		}
	}
	if e := events[large][0]; e.EventType != models.EventFailed || !strings.Contains(e.Error, "400") {
		t.Errorf("the large one: %s %q", e.EventType, e.Error)
	}
	if got := stage.Sequence(events[right]); got != "queued 0, attempt 1, sent 1" {
		t.Errorf("the right one: %s, %s", got, events[right][0].Error)
	}
}

// At debug each outcome names its recipients, masked.
func TestDebugLogMasksAddresses(t *testing.T) {
	t.Parallel()
	for channel, masked := range map[models.Channel]string{models.Email: "u***@example.com", models.SMS: "+1555*****21"} {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, channel, stage.Options{Partitions: 1})
			w := s.Work(map[string]string{"LOG_LEVEL": "debug"})
			for range 2 { // of two: sent at once, and after a retry
				s.PutOne(nil)
				s.PutOne(stage.Hints("scenario", "transient", "scenario_failures", "1"))
			}
			s.Events(4)
			w.WaitLog(masked)
			for _, private := range []string{"user@example.com", "noreply@example.com", "+15557654321", "+15551234567"} {
				if strings.Contains(w.Logs(), private) {
					t.Errorf("the log shows %q", private)
				}
			}
		})
	}
}
