package kafka

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Told remembers what was said of errors that stand, so that a loop that fails
// again and again says so once, and again when the error changes. The zero Told
// has said nothing. It is safe for concurrent use.
type Told struct {
	mu   sync.Mutex
	said map[string]string // by matter
}

// News reports whether an error says something else about a matter than the
// one before. A nil error ends the matter: News reports whether there was an
// error, and the next one is news.
func (t *Told) News(matter string, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, there := t.said[matter]
	if err == nil {
		delete(t.said, matter)
		return there
	}
	if there && SameFault(before, err.Error()) {
		return false
	}
	if t.said == nil {
		t.said = map[string]string{}
	}
	t.said[matter] = err.Error()
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
