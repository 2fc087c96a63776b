package kafka

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ErrorLog remembers which error was logged last of each subject, so that a
// loop that fails again and again logs it once, and again when the error
// changes. The zero ErrorLog is empty. It is safe for concurrent use.
type ErrorLog struct {
	mu     sync.Mutex
	logged map[string]string // texts of errors, by subject
}

// Changed reports whether err is another error of its subject than the one
// before, and so has to be logged. A nil err says that the subject is well:
// then Changed reports whether there was an error, and the next one is to be
// logged.
func (l *ErrorLog) Changed(subject string, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, failing := l.logged[subject]
	if err == nil {
		delete(l.logged, subject)
		return failing
	}
	if failing && SameFault(before, err.Error()) {
		return false
	}
	if l.logged == nil {
		l.logged = map[string]string{}
	}
	l.logged[subject] = err.Error()
	return true
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
