package logger_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/logger"
)

func TestJSONOutsideDevelopment(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"production", "staging", "Development", ""} {
		var b strings.Builder
		log, err := logger.New(&b, env, "info")
		if err != nil {
			t.Fatal(err)
		}
		log.Debug().Msg("hidden")
		log.Info().Str("channel", "sms").Msg("shown")
		var line map[string]string
		if err := json.Unmarshal([]byte(b.String()), &line); err != nil {
			t.Fatalf("%q: not one JSON object: %v in %q", env, err, b.String())
		}
		if line["message"] != "shown" || line["level"] != "info" || line["channel"] != "sms" {
			t.Errorf("%q: line = %v", env, line)
		}
		if at, err := time.Parse(time.RFC3339Nano, line["time"]); err != nil || !strings.HasSuffix(line["time"], "Z") || time.Since(at) > time.Minute {
			t.Errorf("%q: time = %q, want now in UTC", env, line["time"])
		}
	}
}

func TestConsoleInDevelopment(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	log, err := logger.New(&b, "development", "debug")
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("shown")
	if got := b.String(); strings.HasPrefix(got, "{") || !strings.Contains(got, "INF shown") || strings.Contains(got, "\x1b") {
		t.Errorf("line = %q, want a console line without colour", got)
	}
}

func TestUnknownLevel(t *testing.T) {
	t.Parallel()
	if _, err := logger.New(&strings.Builder{}, "production", "loud"); err == nil {
		t.Error("New with level loud: no error")
	}
}
