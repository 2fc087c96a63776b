package app

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/api"
)

// metasPattern is what Meta's OpenAPI description of its API (version 23.0)
// allows in User-Agent.
var metasPattern = regexp.MustCompile(`^[a-zA-Z0-9\-_]+\/[0-9]+\.[0-9]+\.[0-9]+(;[a-zA-Z0-9\-=\.]+)?(\s+[a-zA-Z0-9\-_]+\/[0-9\-\.]+)?$`)

func TestUserAgent(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "1.2.3", "v10.20.30-rc.1": "10.20.30", "v1.2.3-5-g494ca1f-dirty": "1.2.3", "1.2.3+meta": "1.2.3",
		"494ca1f3aa00": "0.0.0", "devel": "0.0.0", "": "0.0.0", "1.2": "0.0.0", "(devel)\r\nX: y": "0.0.0", "1.2.3\r\nX: y": "1.2.3", "ü1.2.3": "0.0.0",
	} {
		got := userAgent(version)
		if got != "messaging-worker/"+want || !metasPattern.MatchString(got) {
			t.Errorf("userAgent(%q) = %q, want messaging-worker/%s", version, got, want)
		}
	}
}

// Every HTTP call says who makes it: those that deliver, probes, also those of
// msgctl check, and the health check.
func TestCallsHaveOurUserAgent(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("User-Agent")
	}))
	t.Cleanup(server.Close)
	settings := map[string]string{
		"KAFKA_BROKERS": "127.0.0.1:1", "WHATSAPP_CONSUMER_GROUP": "group", "WHATSAPP_PROVIDER": "meta",
		"KAFKA_WHATSAPP_REQUEST_TOPIC": "request", "KAFKA_WHATSAPP_STATUS_TOPIC": "status", "KAFKA_WHATSAPP_DLQ_TOPIC": "dlq",
		"META_PHONE_NUMBER_ID": "100", "META_ACCESS_TOKEN": "secret", "META_BASE_URL": server.URL,
		"TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001", "TWILIO_AUTH_TOKEN": "secret", "TWILIO_BASE_URL": server.URL,
	}
	load := func(provider string) *config.Config {
		c, err := config.Load(func(name string) (string, bool) {
			if name == "WHATSAPP_PROVIDER" {
				return provider, true
			}
			value, ok := settings[name]
			return value, ok
		}, "whatsapp")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, name := range []string{"meta", "twilio"} {
		c := load(name)
		made, err := ProviderOf(c).open(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = made.provider.Close() })
		// The answers cannot be read, and need not be.
		_, _ = made.phone.Send(t.Context(), api.Message{Body: "x"})
		_ = made.probe(t.Context())
	}
	_ = askLive(t.Context(), server.URL+"/healthz/live")
	const account = "/2010-04-01/Accounts/AC00000000000000000000000000000001"
	for _, call := range []string{"POST /v23.0/100/messages", "GET /v23.0/100", "POST " + account + "/Messages.json", "GET " + account + ".json", "GET /healthz/live"} {
		if said := <-got; said != call+" "+UserAgent() {
			t.Errorf("%q, want %s by %s", said, call, UserAgent())
		}
	}
}
