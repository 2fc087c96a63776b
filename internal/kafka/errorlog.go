package kafka

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ErrorLog keeps the present error of each subject, so that a loop that fails
// again and again logs it once, and again when the error changes. The zero
// ErrorLog is empty. It is safe for concurrent use.
type ErrorLog struct {
	mu      sync.Mutex
	present map[string]error // by subject
}

// Changed reports whether err is another error of its subject than the one
// before, and so has to be logged. A nil err says that the subject is well:
// then Changed reports whether there was an error, and the next one is to be
// logged.
func (l *ErrorLog) Changed(subject string, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, failing := l.present[subject]
	if err == nil {
		delete(l.present, subject)
		return failing
	}
	if l.present == nil {
		l.present = map[string]error{}
	}
	l.present[subject] = err
	return !failing || !SameFault(before.Error(), err.Error())
}

// Present returns the present errors by subject.
func (l *ErrorLog) Present() map[string]error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.present)
}

// Standing returns the present errors in the order of their subjects, each once,
// or nil.
func (l *ErrorLog) Standing() error {
	present := l.Present()
	var list []error
	for _, subject := range slices.Sorted(maps.Keys(present)) {
		err := present[subject]
		if !slices.ContainsFunc(list, func(e error) bool { return SameFault(e.Error(), err.Error()) }) {
			list = append(list, err)
		}
	}
	return errors.Join(list...)
}

// SameFault reports whether two texts of errors differ at most in the
// addresses that they name: a client tries one broker after the other, each
// time from a port of its own.
func SameFault(a, b string) bool {
	return a == b || slices.Equal(withoutAddresses(a), withoutAddresses(b))
}

func withoutAddresses(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), isAddress)
}

// isAddress reports whether a word is HOST:PORT or HOST:PORT->HOST:PORT.
func isAddress(word string) bool {
	word = strings.TrimRight(word, ":,;)")
	_, port, err := net.SplitHostPort(word[strings.LastIndex(word, ">")+1:])
	_, notNumber := strconv.ParseUint(port, 10, 16)
	return err == nil && notNumber == nil
}
