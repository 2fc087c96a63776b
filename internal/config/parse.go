package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A parser checks a setting's text and puts its value where it belongs. Its
// error never quotes the text of a setting that may hold a secret.
type parser func(text string) error

func text(dst *string) parser {
	return func(s string) error {
		*dst = s
		return nil
	}
}

// ignored is a setting that another channel's worker reads.
func ignored(string) error { return nil }

func boolean(dst *bool) parser {
	return func(s string) error {
		v, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is not true or false", s)
		}
		*dst = v
		return nil
	}
}

// whole parses an integer from low to high.
func whole(dst *int, low, high int) parser {
	return func(s string) error {
		v, err := strconv.Atoi(s)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a whole number", s)
		case v < low || v > high:
			return fmt.Errorf("%d is out of range: %d to %d", v, low, high)
		}
		*dst = v
		return nil
	}
}

// count parses a number or size of at least one.
func count(dst *int) parser { return whole(dst, 1, 1<<40) }

// seconds parses decimal seconds of at least low.
func seconds(dst *time.Duration, low, high float64) parser {
	return func(s string) error {
		v, err := decimal(s)
		switch {
		case err != nil:
			return err
		case v < low || v > high:
			return fmt.Errorf("%s is out of range: %g to %g seconds", s, low, high)
		}
		*dst = time.Duration(math.Round(v * float64(time.Second)))
		return nil
	}
}

// aDecade bounds durations far below what overflows.
const aDecade = 10 * 365 * 24 * 3600

// tenDays bounds the parts of a provider call: Kafka counts the time that a
// member may take to hand over, which is a call and some more, in milliseconds
// of 32 bits.
const tenDays = 10 * 24 * 3600

func duration(dst *time.Duration) parser { return seconds(dst, 0, aDecade) }

func rate(dst *float64) parser {
	return func(s string) error {
		v, err := decimal(s)
		switch {
		case err != nil:
			return err
		case v < 0:
			return fmt.Errorf("%s is below 0", s)
		}
		*dst = v
		return nil
	}
}

func decimal(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xXpP_") {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not finite", s)
	}
	return v, nil
}

func oneOf(dst *string, words ...string) parser {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
		}
		*dst = s
		return nil
	}
}

func brokers(dst *[]string) parser {
	return func(s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			host, port, err := net.SplitHostPort(part)
			if err != nil || isHost(host) != nil {
				return errors.New("want host:port, several separated by commas, without a scheme")
			}
			if !isPort(port) {
				return errNoPort
			}
			list = append(list, part)
		}
		*dst = list
		return nil
	}
}

var errNoPort = errors.New("a port must be a number from 1 to 65535")

// isPort reports a port that can be connected to.
func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= 65535
}

// baseURL takes a URL that paths are put behind.
func baseURL(dst *string) parser {
	return func(s string) error {
		if err := wholeURL(dst)(s); err != nil {
			return err
		}
		if strings.ContainsRune(s, '?') {
			return errors.New("want a URL that a path can follow, without a query")
		}
		*dst = strings.TrimRight(s, "/")
		return nil
	}
}

// wholeURL takes a URL that is used as it is given.
func wholeURL(dst *string) parser {
	return func(s string) error {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Opaque != "" {
			return errors.New("want an absolute http or https URL")
		}
		if isHost(u.Hostname()) != nil || strings.ContainsFunc(s, unicode.IsSpace) || strings.ContainsRune(s, '#') {
			return errors.New("want an http or https URL of one host, without white space or #")
		}
		if u.User != nil {
			return errors.New("credentials do not belong into the URL")
		}
		if port := u.Port(); port != "" && !isPort(port) {
			return errNoPort
		}
		*dst = s
		return nil
	}
}

// file takes the path of a file that can be read now.
func file(dst *string) parser {
	return func(s string) error {
		if err := readable(s); err != nil {
			return err
		}
		*dst = s
		return nil
	}
}

// certificates takes the path of a PEM file with at least one certificate.
func certificates(dst *string) parser {
	return func(s string) error {
		if err := file(dst)(s); err != nil {
			return err
		}
		pem, err := os.ReadFile(s)
		if err != nil {
			return fmt.Errorf("cannot read the file: %w", err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return errors.New("no PEM certificate is in the file")
		}
		return nil
	}
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("cannot read the file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("cannot read the file: %s is a directory", path)
	}
	return nil
}

// pairs parses name=value,name=value.
func pairs(dst *map[string]string) parser {
	return func(s string) error {
		list := map[string]string{}
		for part := range strings.SplitSeq(s, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if !ok || name == "" || value == "" {
				return errors.New("want name=value, several separated by commas")
			}
			if _, twice := list[name]; twice {
				return fmt.Errorf("%q is given twice", name)
			}
			list[name] = value
		}
		*dst = list
		return nil
	}
}
