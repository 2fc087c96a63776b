package scan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDays is how many days a Go duration can hold.
const maxDays = int(math.MaxInt64 / (24 * time.Hour))

// When reads a point in time as a person gives it: RFC 3339, or how long ago
// as a Go duration or in days ("90m", "7d"). The empty text is the zero time.
func When(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	ago, err := Duration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is no time: want RFC 3339 (2026-01-31T09:00:00Z), or how long ago (90m, 36h, 7d)", text)
	}
	return now.Add(-ago), nil
}

// Duration reads a Go duration, or a whole number of days ("7d").
func Duration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	days, ok := strings.CutSuffix(text, "d")
	n, noNumber := strconv.Atoi(days)
	if !ok || noNumber != nil || n < -maxDays || n > maxDays {
		return 0, fmt.Errorf("%q is no duration: want such as 90m, 36h or 7d", text)
	}
	return time.Duration(n) * 24 * time.Hour, nil
}
