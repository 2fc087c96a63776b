package models_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/models"
)

func TestUsableTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		name string
		at   time.Time
		want bool
	}{
		{"none", time.UnixMilli(-1), false},
		{"the epoch", time.UnixMilli(0), false},
		{"nine minutes after the epoch", time.UnixMilli(9 * 60 * 1000), false},
		{"seconds in the place of milliseconds", time.UnixMilli(now.Unix()), false},
		{"microseconds in the place of milliseconds", time.UnixMilli(now.UnixMicro()), false},
		{"the least", time.UnixMilli(math.MinInt64), false},
		{"the most", time.UnixMilli(math.MaxInt64), false},
		{"year 9999", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false},
		{"the zero time", time.Time{}, false},
		{"two hours ahead", now.Add(2 * time.Hour), false},
		{"a minute ahead", now.Add(time.Minute), true},
		{"now", now, true},
		{"a year ago", now.AddDate(-1, 0, 0), true},
	} {
		if got := models.UsableTime(tt.at); got != tt.want {
			t.Errorf("UsableTime(%s) = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Whatever a producer writes: a time that is taken for one is neither ahead nor
// so long ago that it spoils a sum.
func FuzzUsableTime(f *testing.F) {
	for _, ms := range []int64{math.MinInt64, -1, 0, 1, 946684799999, 946684800000, 1e15, math.MaxInt64} {
		f.Add(ms)
	}
	f.Fuzz(func(t *testing.T, ms int64) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(25 * 365 * 24 * time.Hour)
			age := time.Since(time.UnixMilli(ms))
			if models.UsableTime(time.UnixMilli(ms)) && (age < -time.Hour || age > 25*365*24*time.Hour) {
				t.Errorf("UsableTime(%d) though it is %v old", ms, age)
			}
		})
	})
}
