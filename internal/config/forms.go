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
func line(dst *string) parser {
	return func(s string) error {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return errors.New("has a control character, or is not UTF-8")
		}
		*dst = s
		return nil
	}
}

// form takes a text that a pattern describes. The error says what is wanted and
// quotes nothing: a secret may have got into the wrong variable. Like the
// parsers below it keeps a wrong value, so that nothing asks for it as missing.
func form(dst *string, pattern *regexp.Regexp, want string) parser {
	return func(s string) error {
		*dst = s
		if !pattern.MatchString(s) {
			return errors.New("want " + want)
		}
		return nil
	}
}

// kafkaName takes the name of a topic, or an instance id, which has the same
// rule (org.apache.kafka.common.internals.Topic).
func kafkaName(dst *string) parser {
	return func(s string) error {
		for _, r := range s {
			if r >= utf8.RuneSelf || r != '.' && r != '_' && r != '-' && !isWordByte(byte(r)) { //nolint:gosec // r is below utf8.RuneSelf
				return fmt.Errorf("has %q: Kafka takes letters, digits, '.', '_' and '-'", r)
			}
		}
		const longest = 249
		if len(s) > longest || s == "." || s == ".." {
			return fmt.Errorf("want at most %d characters, and not dots alone", longest)
		}
		*dst = s
		return nil
	}
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// host takes the name or address of one host, and an IPv6 address also in
// brackets, which it takes away.
func host(dst *string) parser {
	return func(s string) error {
		bare := s
		if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") && strings.Contains(s, ":") {
			bare = s[1 : len(s)-1]
		}
		*dst = bare
		return isHost(bare)
	}
}

// isHost says what is wrong with the name or address of a host.
func isHost(s string) error {
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
		word := strings.TrimFunc(label, func(r rune) bool {
			return r == '-' || r == '_' || r < utf8.RuneSelf && isWordByte(byte(r)) //nolint:gosec // r is below utf8.RuneSelf
		})
		if label == "" || word != "" || len(label) > longestLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(s) <= longest && strings.Trim(label, "0123456789") != ""
}

// valued takes pairs whose values have a form.
func valued(dst *map[string]string, check func(string) error) parser {
	return func(s string) error {
		var list map[string]string
		if err := pairs(&list)(s); err != nil {
			return err
		}
		for name, value := range list {
			if err := check(value); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
		*dst = list
		return nil
	}
}
