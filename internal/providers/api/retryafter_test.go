package api

import (
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func retryAfter(lines ...string) time.Duration {
	return (&Answer{Header: http.Header{"Retry-After": lines}}).RetryAfter()
}

// What can be read without doubt is a time, however it is written; anything
// else names none.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const second = time.Second
	tests := []struct {
		lines []string
		want  time.Duration
	}{
		{nil, 0},
		{[]string{""}, 0},
		{[]string{"3"}, 3 * second},
		{[]string{" 3\t"}, 3 * second},
		{[]string{"003"}, 3 * second},
		{[]string{"0"}, 0},
		{[]string{"3.0"}, 3 * second},
		{[]string{"3."}, 3 * second},
		{[]string{"2.5"}, 2500 * time.Millisecond},
		{[]string{".5"}, 500 * time.Millisecond},
		{[]string{`"3"`}, 3 * second},
		{[]string{"3s"}, 3 * second},
		{[]string{"1m30s"}, 90 * second},
		{[]string{"250ms"}, 250 * time.Millisecond},
		{[]string{"3, 3"}, 3 * second},
		{[]string{"3,3.0, 3s"}, 3 * second},
		{[]string{"3", "3"}, 3 * second},
		{[]string{"2, 7", "5"}, 7 * second},
		{[]string{"", "3"}, 3 * second},
		{[]string{"soon, 3"}, 3 * second},
		{[]string{",,3,"}, 3 * second},
		{[]string{"2147483648"}, longestWait},
		{[]string{"99999999999999999999"}, longestWait},
		{[]string{"99999999999999999999.5"}, longestWait},
		{[]string{"2562047h"}, longestWait},
		{[]string{"-3"}, 0},
		{[]string{"-3s"}, 0},
		{[]string{"-3, 4"}, 4 * second},
		{[]string{"soon"}, 0},
		{[]string{"3 apples"}, 0},
		{[]string{"1e3"}, 0},
		{[]string{"0x10"}, 0},
		{[]string{"Inf"}, 0},
		{[]string{"NaN"}, 0},
		{[]string{"3;3"}, 0},
		{[]string{"\u0663"}, 0}, // a three, but no digit of HTTP
		// The bubble's clock stands at Sat, 01 Jan 2000 00:00:00 GMT.
		{[]string{"Sat, 01 Jan 2000 00:01:00 GMT"}, time.Minute},
		{[]string{"Saturday, 01-Jan-00 00:01:00 GMT"}, time.Minute},
		{[]string{"Sat Jan  1 00:01:00 2000"}, time.Minute},
		{[]string{" Sat, 01 Jan 2000 00:01:00 GMT "}, time.Minute},
		{[]string{"Sat, 01 Jan 2000 00:01:00 GMT, Sat, 01 Jan 2000 00:02:00 GMT, 3"}, 2 * time.Minute},
		{[]string{"3, Saturday, 01-Jan-00 00:01:00 GMT, Sat Jan  1 00:00:02 2000"}, time.Minute},
		{[]string{"Fri, 31 Dec 1999 23:59:59 GMT"}, 0},
		{[]string{"Fri, 31 Dec 9999 23:59:59 GMT"}, longestWait},
		{[]string{"Saturday, 01-Jan-00 00:01:00 PST"}, 0},
		{[]string{"Sat, 01 Jan 2000 00:01:00"}, 0},
		{[]string{"Sat, 32 Jan 2000 00:01:00 GMT"}, 0},
	}
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range tests {
			if got := retryAfter(tt.lines...); got != tt.want {
				t.Errorf("RetryAfter() of %q = %v, want %v", tt.lines, got, tt.want)
			}
		}
	})
}

// Whatever the header says: no wait is negative or beyond bounds, whole
// seconds are exact, and what is said twice is said once.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "3", "3.0", "3s", "3, 3", "-1", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := retryAfter(text)
		if got < 0 || got > longestWait {
			t.Fatalf("RetryAfter() of %q = %v", text, got)
		}
		if twice := retryAfter(text, text); twice.Round(time.Minute) != got.Round(time.Minute) && (twice-got).Abs() > time.Minute { // the clock moves
			t.Fatalf("RetryAfter() of %q = %v, of two %v", text, got, twice)
		}
		seconds, err := strconv.ParseUint(text, 10, 30)
		if err == nil && got != time.Duration(seconds)*time.Second {
			t.Fatalf("RetryAfter() of %q = %v", text, got)
		}
	})
}
