package mock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/mock"
	"messaging-worker/internal/models"
)

func play(t *testing.T, hints map[string]string, attempt int) mock.Outcome {
	t.Helper()
	m, err := mock.New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	o, err := m.Play(t.Context(), &models.Envelope{Meta: hints}, 1, common.Call{Attempt: attempt, Recipients: []int{0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		hints   map[string]string
		attempt int
		want    string
	}{
		{"no hints", nil, 1, mock.Accepted},
		{"success", map[string]string{"scenario": "success"}, 1, mock.Accepted},
		{"transient for ever", map[string]string{"scenario": "transient"}, 99, "transient"},
		{"transient twice, second", map[string]string{"scenario": "transient", "scenario_failures": "2"}, 2, "transient"},
		{"transient twice, third", map[string]string{"scenario": "transient", "scenario_failures": "2"}, 3, mock.Accepted},
		{"permanent", map[string]string{"scenario": "permanent"}, 1, "permanent"},
		{"rate limited", map[string]string{"scenario": "rate_limited"}, 1, "rate_limited"},
		{"unknown", map[string]string{"scenario": "unknown"}, 1, "unknown"},
		{"a scenario that is none", map[string]string{"scenario": "earthquake"}, 1, mock.Unplayable},
		{"failures that are no number", map[string]string{"scenario": "transient", "scenario_failures": "two"}, 1, mock.Unplayable},
		{"negative latency", map[string]string{"scenario_latency_ms": "-1"}, 1, mock.Unplayable},
	}
	for _, tt := range tests {
		if got := play(t, tt.hints, tt.attempt); got.Result != tt.want {
			t.Errorf("%s: result %s, want %s", tt.name, got.Result, tt.want)
		}
	}
	if o := play(t, map[string]string{"scenario": "partial"}, 1); o.Result != mock.Accepted || !slices.Equal(o.Refused, []int{1}) {
		t.Errorf("partial: %+v, want the last recipient refused", o)
	}
	for recipients, want := range map[string]string{"0": "transient", "7,1": "transient", "2": mock.Accepted, "x": mock.Unplayable} {
		if o := play(t, map[string]string{"scenario": "transient", "scenario_recipients": recipients}, 1); o.Result != want {
			t.Errorf("scenario_recipients %s: result %s, want %s", recipients, o.Result, want)
		}
	}
	if o := play(t, map[string]string{"scenario": "rate_limited", "scenario_retry_after_ms": "1500"}, 1); o.RetryAfter != 1500*time.Millisecond {
		t.Errorf("rate_limited: Retry-After %v, want 1.5s", o.RetryAfter)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("scenario panic did not panic")
		}
	}()
	play(t, map[string]string{"scenario": "panic"}, 1)
}

func TestTimeAndTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, _ := mock.New(2*time.Second, "")
		tests := []struct {
			name  string
			hints map[string]string
			want  time.Duration
			err   error
		}{
			{"the setting's latency", nil, 2 * time.Second, nil},
			{"the message's latency", map[string]string{"scenario_latency_ms": "500"}, 500 * time.Millisecond, nil},
			{"timeout", map[string]string{"scenario": "timeout"}, 30 * time.Second, context.DeadlineExceeded},
			{"latency beyond the limit", map[string]string{"scenario_latency_ms": "60000"}, 30 * time.Second, context.DeadlineExceeded},
		}
		for _, tt := range tests {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			start := time.Now()
			_, err := m.Play(ctx, &models.Envelope{Meta: tt.hints}, 0, common.Call{Recipients: []int{0}, Attempt: 1})
			cancel()
			if took := time.Since(start); took != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s: took %v with %v, want %v with %v", tt.name, took, err, tt.want, tt.err)
			}
		}
	})
}

func TestLedger(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger")
	for range 2 { // a second worker goes on in the same file
		m, err := mock.New(0, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, scenario := range []string{"success", "partial", "transient"} {
			e := &models.Envelope{MessageID: "id-1", Meta: map[string]string{"scenario": scenario}}
			if _, err := m.Play(t.Context(), e, 2, common.Call{Attempt: 3, Recipients: []int{0, 2}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	form := regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+Z id-1 3 [02]$`)
	if len(lines) != 6 || !form.MatchString(lines[0]) || !strings.HasSuffix(lines[1], " 2") || !strings.HasSuffix(lines[2], " 0") {
		t.Errorf("ledger:\n%s\nwant six lines: 0 and 2 of success, 0 of partial, twice", data)
	}
	if _, err := mock.New(0, filepath.Join(path, "below")); err == nil {
		t.Error("a ledger that cannot be opened: no error")
	}
}
