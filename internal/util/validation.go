// Package util holds the pure predicates behind validation. They run for
// every message, so they scan by hand and allocate nothing, but for URLs.
package util

import (
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// IsUUIDv4 reports whether s is a UUID of version 4 and RFC variant in
// lower-case canonical form (RFC 9562).
func IsUUIDv4(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	if s[14] != '4' || strings.IndexByte("89ab", s[19]) < 0 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			continue
		}
		if c := s[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ParseUTC parses an RFC 3339 time whose offset is Z or +00:00, with or
// without a fraction, with upper-case T and Z and no leap second.
func ParseUTC(s string) (time.Time, bool) {
	const seconds = "2006-01-02T15:04:05"
	if len(s) <= len(seconds) || s[13] != ':' { // the library also takes a one-digit hour
		return time.Time{}, false
	}
	rest := s[len(seconds):]
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		if n == 1 {
			return time.Time{}, false
		}
		rest = rest[n:]
	}
	if rest != "Z" && rest != "+00:00" {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UTC(), err == nil
}

// IsE164 reports whether s is +, then 2 to 15 digits, the first not 0.
func IsE164(s string) bool {
	if len(s) < 3 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// IsMIMEType reports whether s is type/subtype in the characters of RFC 6838,
// with or without parameters (RFC 9110, 8.3.1). Whether a parameter makes
// sense, or is there twice, is not looked at.
func IsMIMEType(s string) bool {
	const blanks = " \t"
	bare, _, _ := strings.Cut(s, ";")
	parameters := s[len(bare):]
	if parameters != "" {
		bare = strings.TrimRight(bare, blanks)
	}
	kind, sub, ok := strings.Cut(bare, "/")
	if !ok || !restrictedName(kind) || !restrictedName(sub) {
		return false
	}
	for parameters != "" {
		parameters = strings.TrimLeft(strings.TrimPrefix(parameters, ";"), blanks)
		if parameters == "" { // one semicolon too many does no harm
			return true
		}
		if parameters, ok = afterParameter(parameters); !ok {
			return false
		}
		parameters = strings.TrimLeft(parameters, blanks)
		if parameters != "" && parameters[0] != ';' {
			return false
		}
	}
	return true
}

// afterParameter returns what stands behind name=value, or false where s does
// not begin with that.
func afterParameter(s string) (rest string, ok bool) {
	name := tokenLength(s)
	if name == 0 || name == len(s) || s[name] != '=' {
		return s, false
	}
	s = s[name+1:]
	if n := tokenLength(s); n > 0 {
		return s[n:], true
	}
	if s == "" || s[0] != '"' {
		return s, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[i+1:], true
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] < ' ' || s[i] > '~' {
				return s, false
			}
		case c < ' ' || c > '~':
			return s, false
		}
	}
	return s, false
}

// tokenLength is how long the token is that s begins with (RFC 9110, 5.6.2).
func tokenLength(s string) int {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return i
		}
	}
	return len(s)
}

func restrictedName(s string) bool {
	if s == "" || len(s) > 127 || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$&-^_.+", s[i]) < 0 {
			return false
		}
	}
	return true
}

// IsHTTPURL reports whether s is an absolute http or https URL with a host
// and without credentials.
func IsHTTPURL(s string) bool {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || unicode.IsSpace(r) }) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// HasControl reports whether s has a control character other than tab.
func HasControl(s string) bool {
	for _, r := range s {
		if r != '\t' && unicode.IsControl(r) {
			return true
		}
	}
	return false
}

// IsBlank reports whether s is empty or white space alone.
func IsBlank(s string) bool { return strings.TrimSpace(s) == "" }

// LongerThan reports whether s has more than n runes.
func LongerThan(s string, n int) bool {
	return len(s) > n && utf8.RuneCountInString(s) > n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return isDigit(c) || (c|0x20 >= 'a' && c|0x20 <= 'z')
}
