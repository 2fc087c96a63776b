package scan_test

import (
	"testing"
	"time"

	"messaging-worker/internal/ops/scan"
)

func TestWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-01-30T08:00:00Z": time.Date(2026, 1, 30, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := scan.When(text, now); err != nil || !got.Equal(want) {
			t.Errorf("When(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "-2h", "d", "-1d", "5", "2026-01-30", "106752d", "400000d", "2135040d"} {
		if got, err := scan.When(text, now); err == nil {
			t.Errorf("When(%q) = %v, want an error", text, got)
		}
	}
}
