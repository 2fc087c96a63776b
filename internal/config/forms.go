package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errQuoted is of a value between quotes. A shell and a .env file take them
// away; docker run --env-file and some orchestrators keep them, and then they
// are part of the value.
var errQuoted = errors.New("is in quotes, which are part of the value here: leave them out (docker run --env-file keeps them)")

// quoted reports a value between quotes.
func quoted(s string) bool {
	return len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0]
}

// line takes a text without line breaks and other control characters.
func line(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", errors.New("has a control character, or is not UTF-8")
	}
	return s, nil
}

// like takes a text that a pattern describes. The error says what is wanted and
// quotes nothing: a secret may have got into the wrong variable.
func like(pattern, want string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !regexp.MustCompile(pattern).MatchString(s) {
			return s, errors.New("want " + want)
		}
		return s, nil
	}
}

// kafkaName takes the name of a topic, or an instance id, which has the same
// rule (org.apache.kafka.common.internals.Topic).
func kafkaName(s string) (string, error) {
	for _, r := range s {
		if r != '.' && !isWordRune(r) {
			return "", fmt.Errorf("has %q: Kafka takes letters, digits, '.', '_' and '-'", r)
		}
	}
	const longest = 249
	if len(s) > longest || s == "." || s == ".." {
		return "", fmt.Errorf("want at most %d characters, and not dots alone", longest)
	}
	return s, nil
}

func isWordRune(r rune) bool {
	return r == '-' || r == '_' || r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// host takes the name or address of one host, and an IPv6 address also in
// brackets, which it takes away.
func host(s string) (string, error) {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") && strings.Contains(s, ":") {
		s = s[1 : len(s)-1]
	}
	return s, checkHost(s)
}

// checkHost says what is wrong with the name or address of a host.
func checkHost(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	switch {
	case strings.Contains(s, "://"):
		return errors.New("want a host alone, without a scheme")
	case strings.ContainsAny(s, ", \t;"):
		return errors.New("want one host, not a list")
	case strings.ContainsAny(s, "/?#@"):
		return errors.New("want a host alone, without path or user")
	case strings.Contains(s, ":"):
		return errors.New("want a host alone, without a port")
	case !isHostName(s):
		return errors.New("want a host name in ASCII (an international one as xn--…) or an IP address")
	}
	return nil
}

// isHostName reports a name of labels of letters, digits and hyphens (RFC 1123,
// 2.1), and of underscores, which names of containers have. Its last label is
// no number: that would be a broken address.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	const longest, longestLabel = 253, 63
	label := ""
	for label = range strings.SplitSeq(s, ".") {
		if label == "" || strings.TrimFunc(label, isWordRune) != "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(s) <= longest && strings.Trim(label, "0123456789") != ""
}

// valued takes pairs whose values have a form.
func valued(form func(string) (string, error)) func(string) (map[string]string, error) {
	return func(s string) (map[string]string, error) {
		list, err := pairs(s)
		for name, value := range list {
			if _, err := form(value); err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
		}
		return list, err
	}
}
