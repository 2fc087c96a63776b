package config_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"messaging-worker/internal/config"
)

// origin says that all of env is set in the file "f".
func origin(env map[string]string) config.Origin {
	return func(name string) (string, string) {
		if value, ok := env[name]; ok {
			return value, "f"
		}
		return "", ""
	}
}

// inForce returns the settings of an sms worker by name, the required ones
// and extra set.
func inForce(extra map[string]string) map[string]config.Value {
	env := required()
	maps.Copy(env, extra)
	byName := map[string]config.Value{}
	for _, v := range config.InForce(origin(env), "sms") {
		v.Section = ""
		byName[v.Name] = v
	}
	return byName
}

func TestInForce(t *testing.T) {
	t.Parallel()
	got := inForce(map[string]string{
		"MAX_ATTEMPTS": "4", "SMS_MAX_ATTEMPTS": " 7 ", "EMAIL_MAX_ATTEMPTS": "9", "WORKER_CONCURRENCY": "many", "LOG_LEVEL": " ",
		"KAFKA_SASL_PASSWORD": "hunter2", "SMS_TWILIO_AUTH_TOKEN_FILE": "/run/secrets/twilio", "TWILIO_BASE_URL": "https://user:hunter2@example.com",
		"TWILIO_STATUS_CALLBACK_URL": "https://example.com/status?key=hunter2",
	})
	for _, want := range []config.Value{
		{Name: "MAX_ATTEMPTS", Value: "7", From: "f", Variable: "SMS_MAX_ATTEMPTS"},
		{Name: "KAFKA_BROKERS", Value: "localhost:9092", From: "f"},
		{Name: "WORKER_CONCURRENCY", Value: "(invalid)", From: "f"},
		{Name: "LOG_LEVEL", Value: "info", From: "default"},
		{Name: "RECIPIENTS_MAX", Value: "10", From: "default"},
		{Name: "KAFKA_CLIENT_ID", Value: "sms-worker", From: "default"},
		{Name: "APP_HOST"},
		{Name: "KAFKA_SASL_PASSWORD", Value: "(hidden)", From: "f"},
		{Name: "TWILIO_AUTH_TOKEN", Value: "(in the file /run/secrets/twilio)", From: "f", Variable: "SMS_TWILIO_AUTH_TOKEN_FILE"},
		{Name: "TWILIO_BASE_URL", Value: "(invalid)", From: "f"},
		{Name: "TWILIO_STATUS_CALLBACK_URL", Value: "https://example.com/status?(hidden)", From: "f"},
		{Name: "SMS_CONSUMER_GROUP", Value: "sms-workers", From: "f"},
	} {
		if got[want.Name] != want {
			t.Errorf("%s: %+v, want %+v", want.Name, got[want.Name], want)
		}
	}
	if shown := fmt.Sprint(got); strings.Contains(shown, "hunter2") {
		t.Errorf("a secret is shown: %s", shown)
	}
	for _, name := range []string{"KAFKA_EMAIL_REQUEST_TOPIC", "EMAIL_CONSUMER_GROUP", "WHATSAPP_PROVIDER"} {
		if v, ok := got[name]; ok {
			t.Errorf("%+v is no setting of an sms worker", v)
		}
	}
}

// A default that depends on other settings is shown as it is in force.
func TestInForceComputesDefaults(t *testing.T) {
	t.Parallel()
	if got := inForce(map[string]string{"PROVIDER_TIMEOUT_SECONDS": "7.5"})["SHUTDOWN_TIMEOUT_SECONDS"]; got.Value != "12.5" || got.From != "default" {
		t.Errorf("SHUTDOWN_TIMEOUT_SECONDS: %+v, want 12.5 by default", got)
	}
}

// Every setting is shown on the channels that read it.
func TestInForceIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, channel := range []string{"email", "sms", "whatsapp"} {
		for _, v := range config.InForce(origin(nil), channel) {
			seen[v.Name] = true
		}
	}
	for _, name := range config.Names() {
		if !seen[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}

func TestOriginsTellTheFileFromTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.env")
	if err := os.WriteFile(path, []byte("MAX_ATTEMPTS=9\nAPP_HOST=fromfile\nOTEL_TEST_ORIGIN=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("APP_HOST", "fromenv")
	t.Setenv("OTEL_TEST_ORIGIN", "") // so that it is put back
	os.Unsetenv("OTEL_TEST_ORIGIN")
	origin, _, err := config.Environment(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][2]string{
		"APP_HOST": {"fromenv", "environment"}, "MAX_ATTEMPTS": {"9", path}, "OTEL_TEST_ORIGIN": {"x", path}, "LOG_LEVEL": {},
	} {
		if value, from := origin(name); value != want[0] || from != want[1] {
			t.Errorf("%s = %q from %q, want %q from %q", name, value, from, want[0], want[1])
		}
	}
	if os.Getenv("OTEL_TEST_ORIGIN") != "x" {
		t.Error("the OpenTelemetry SDK does not get its variables of the file")
	}
}

func FuzzInForce(f *testing.F) {
	f.Add("TWILIO_BASE_URL", "https://user:s3cr3t-value@host", "s3cr3t-value")
	f.Add("SMS_KAFKA_SASL_PASSWORD", "x", "hunter2-secret")
	f.Fuzz(func(t *testing.T, name, value, secret string) {
		env := required()
		env[name] = value
		env["TWILIO_AUTH_TOKEN"], env["KAFKA_SASL_PASSWORD"], env["SMTP_PASSWORD"] = secret, secret, secret
		for _, v := range config.InForce(origin(env), "sms") {
			if len(secret) > 8 && !strings.Contains(name+value, secret) && strings.Contains(v.Value, secret) {
				t.Errorf("%+v shows a secret", v)
			}
		}
	})
}
