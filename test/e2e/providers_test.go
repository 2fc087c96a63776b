package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// fakeProvider runs msgctl's and returns the settings that it prints, and what
// ends it and returns its last line.
func fakeProvider(t *testing.T, args ...string) (settings map[string]string, end func() string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(stage.Suite.Bin, "msgctl"), append([]string{"fake-provider", "--port", "0", "--quiet"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	lines.Scan() // names the address
	if !lines.Scan() {
		t.Fatal("the fake provider ended at its start")
	}
	settings = map[string]string{}
	for setting := range strings.FieldsSeq(lines.Text()) {
		name, value, _ := strings.Cut(setting, "=")
		settings[name] = value
	}
	return settings, func() string {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fake provider: %v", err)
		}
		return last
	}
}

// The built workers send through Twilio's and Meta's APIs as the fakes play
// them: what fails is repeated, and nobody is called twice.
func TestHTTPProviders(t *testing.T) {
	t.Parallel()
	const messages = 60
	tests := []struct {
		name    string
		channel models.Channel
		args    []string
		calls   int // every third fails
	}{
		{"twilio sms", models.SMS, []string{"twilio", "--fault", "broken", "--every", "3"}, 89},
		{"twilio whatsapp", models.WhatsApp, []string{"twilio"}, messages},
		{"meta", models.WhatsApp, []string{"meta", "--fault", "gateway", "--every", "3"}, 89},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			settings, end := fakeProvider(t, tt.args...)
			if tt.channel == models.WhatsApp && tt.args[0] == "twilio" {
				settings["WHATSAPP_PROVIDER"] = settings["SMS_PROVIDER"]
				delete(settings, "SMS_PROVIDER")
			}
			settings["MAX_ATTEMPTS"], settings["BASE_BACKOFF_SECONDS"] = "20", "0.01"
			s := stage.New(t, tt.channel, stage.Options{})
			w := s.Work(settings)
			w.WaitReady(http.StatusOK)
			ids := s.PutMany(messages)
			s.Committed()
			for id, events := range s.Events(len(ids)) {
				last := events[len(events)-1]
				if last.EventType != models.EventSent || len(last.ProviderResponse.Meta) != 1 {
					t.Errorf("%s ends as %s, %+v", id, last.EventType, last.ProviderResponse)
				}
			}
			w.Stop()
			if sum := end(); !strings.HasPrefix(sum, fmt.Sprintf("%d calls, ", tt.calls)) || !strings.HasSuffix(sum, fmt.Sprintf(" %d messages accepted", messages)) {
				t.Errorf("%q, want %d calls and %d accepted", sum, tt.calls, messages)
			}
		})
	}
}
