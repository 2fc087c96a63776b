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

// into puts what a form makes of a text into dst, also beside an error: a form
// that returns a wrong value keeps others from asking for it as missing.
func into[T any](dst *T, form func(string) (T, error)) parser {
	return func(s string) (err error) {
		*dst, err = form(s)
		return err
	}
}

func text(s string) (string, error) { return s, nil }

func boolean(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", s)
	}
	return v, nil
}

// whole parses an integer from low to high.
func whole(low, high int) func(string) (int, error) {
	return func(s string) (int, error) {
		v, err := strconv.Atoi(s)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%q is not a whole number", s)
		case v < low || v > high:
			return 0, fmt.Errorf("%d is out of range: %d to %d", v, low, high)
		}
		return v, nil
	}
}

// count parses a number or size of at least one.
func count(s string) (int, error) { return whole(1, 1<<40)(s) }

// seconds parses decimal seconds of at least low.
func seconds(low, high float64) func(string) (time.Duration, error) {
	return func(s string) (time.Duration, error) {
		v, err := decimal(s)
		switch {
		case err != nil:
			return 0, err
		case v < low || v > high:
			return 0, fmt.Errorf("%s is out of range: %g to %g seconds", s, low, high)
		}
		return time.Duration(math.Round(v * float64(time.Second))), nil
	}
}

// aDecade bounds durations far below what overflows.
const aDecade = 10 * 365 * 24 * 3600

// tenDays bounds the parts of a provider call: Kafka counts the time that a
// member may take to hand over, which is a call and some more, in milliseconds
// of 32 bits.
const tenDays = 10 * 24 * 3600

func duration(s string) (time.Duration, error) { return seconds(0, aDecade)(s) }

func rate(s string) (float64, error) {
	v, err := decimal(s)
	if err == nil && v < 0 {
		return 0, fmt.Errorf("%s is below 0", s)
	}
	return v, err
}

// part parses a number from 0 to high.
func part(high float64) func(string) (float64, error) {
	return func(s string) (float64, error) {
		v, err := decimal(s)
		if err == nil && (v < 0 || v > high) {
			return 0, fmt.Errorf("%s is out of range: 0 to %g", s, high)
		}
		return v, err
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

func oneOf(words ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", fmt.Errorf("%q is not one of %s", s, strings.Join(words, ", "))
		}
		return s, nil
	}
}

func brokers(s string) ([]string, error) {
	var list []string
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		host, port, err := net.SplitHostPort(part)
		if err != nil || checkHost(host) != nil {
			return nil, errors.New("want host:port, several separated by commas, without a scheme")
		}
		if !isPort(port) {
			return nil, errNoPort
		}
		list = append(list, part)
	}
	return list, nil
}

var errNoPort = errors.New("a port must be a number from 1 to 65535")

// isPort reports a port that can be connected to.
func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= 65535
}

// baseURL takes a URL that paths are put behind.
func baseURL(s string) (string, error) {
	s, err := wholeURL(s)
	if strings.ContainsRune(s, '?') {
		return s, errors.New("want a URL that a path can follow, without a query")
	}
	return strings.TrimRight(s, "/"), err
}

// wholeURL takes a URL that is used as it is given.
func wholeURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Opaque != "":
		return "", errors.New("want an absolute http or https URL")
	case checkHost(u.Hostname()) != nil || strings.ContainsFunc(s, unicode.IsSpace) || strings.ContainsRune(s, '#'):
		return "", errors.New("want an http or https URL of one host, without white space or #")
	case u.User != nil:
		return "", errors.New("credentials do not belong into the URL")
	case u.Port() != "" && !isPort(u.Port()):
		return "", errNoPort
	}
	return s, nil
}

// file takes the path of a file that can be read now.
func file(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return "", fmt.Errorf("cannot read the file: %s is a directory", path)
	}
	return path, nil
}

// certificates takes the path of a PEM file with at least one certificate.
func certificates(path string) (string, error) {
	if _, err := file(path); err != nil {
		return "", err
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the file: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return path, errors.New("no PEM certificate is in the file")
	}
	return path, nil
}

// pairs parses name=value,name=value.
func pairs(s string) (map[string]string, error) {
	list := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || value == "" {
			return nil, errors.New("want name=value, several separated by commas")
		}
		if _, twice := list[name]; twice {
			return nil, fmt.Errorf("%q is given twice", name)
		}
		list[name] = value
	}
	return list, nil
}
