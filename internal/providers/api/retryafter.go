package api

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

// longestWait is more than anybody honours, and far below what a Duration
// holds.
const longestWait = 1 << 31 * time.Second

// RetryAfter returns how long the answer asks to be left alone (RFC 9110,
// 10.2.3: seconds or a date), and zero where it does not, or says it in a way
// that cannot be read. Gateways write more than the RFC allows: a fraction, a
// unit ("3s", as Go prints a duration), and proxies join or repeat the header.
// Of several times the longest counts, which disregards none of them.
func (a *Answer) RetryAfter() time.Duration {
	longest := time.Duration(0)
	for _, line := range a.Header.Values("Retry-After") {
		for parts := strings.Split(line, ","); len(parts) > 0; {
			wait, read := firstWait(parts)
			longest, parts = max(longest, wait), parts[read:]
		}
	}
	return min(longest, longestWait)
}

// firstWait reads the wait that the first of these parts name, and how many
// they are: two of the three forms of a date have a comma themselves.
func firstWait(parts []string) (wait time.Duration, read int) {
	first := strings.Trim(parts[0], " \t")
	if len(parts) > 1 {
		// RFC 9110, 5.6.7: a date is in GMT. Of another zone in the obsolete
		// form the library reads only the zone's name, as if it were GMT.
		date := first + "," + strings.TrimRight(parts[1], " \t")
		if at, err := http.ParseTime(date); err == nil && strings.HasSuffix(date, "GMT") {
			return time.Until(at), 2
		}
	}
	if wait, ok := duration(strings.Trim(first, `"`)); ok {
		return wait, 1
	}
	if at, err := http.ParseTime(first); err == nil { // that of C's asctime
		return time.Until(at), 1
	}
	return 0, 1
}

// plainNumber is a number without sign, exponent or hexadecimal digits.
var plainNumber = regexp.MustCompile(`^([0-9]+\.?[0-9]*|\.[0-9]+)$`)

// duration reads a number of seconds, or a duration with its units.
func duration(text string) (time.Duration, bool) {
	seconds := plainNumber.MatchString(text)
	if seconds {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if seconds && err != nil { // more than a Duration holds
		return longestWait, true
	}
	return d, err == nil
}
