package kafka

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bridge writes the client's own log lines one level lower than the client
// would: its info lines are about metadata and not about messages, so they are
// our debug lines.
type bridge struct {
	log zerolog.Logger

	mu     sync.Mutex
	logged map[string]time.Time // when each line came last, by its text
}

// Logger returns a logger for a client that writes to log.
func Logger(log zerolog.Logger) kgo.Logger { return &bridge{log: log} }

// silence is how long a line must not have come to be written again: a client
// that cannot connect logs that several times a second for as long as it
// lasts.
const silence = time.Minute

// maxLogged bounds the lines that are remembered.
const maxLogged = 100

// isNew reports whether a line has not come lately.
func (b *bridge) isNew(msg string, keyvals []any) bool {
	words := []string{msg}
	for i := 0; i+1 < len(keyvals); i += 2 {
		if err, ok := keyvals[i+1].(error); ok {
			words = append(words, err.Error())
		}
	}
	text := strings.Join(withoutAddresses(strings.Join(words, " ")), " ")
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.logged[text]
	if !known && (b.logged == nil || len(b.logged) >= maxLogged) {
		b.logged = map[string]time.Time{}
	}
	b.logged[text] = time.Now()
	return !known || time.Since(last) >= silence
}

func (b *bridge) Level() kgo.LogLevel {
	switch b.log.GetLevel() {
	case zerolog.TraceLevel:
		return kgo.LogLevelDebug
	case zerolog.DebugLevel:
		return kgo.LogLevelInfo
	case zerolog.InfoLevel, zerolog.WarnLevel:
		return kgo.LogLevelWarn
	default:
		return kgo.LogLevelError
	}
}

func (b *bridge) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := zerolog.WarnLevel
	switch level {
	case kgo.LogLevelDebug:
		to = zerolog.TraceLevel
	case kgo.LogLevelInfo:
		to = zerolog.DebugLevel
	case kgo.LogLevelWarn:
		to = zerolog.InfoLevel
	case kgo.LogLevelError, kgo.LogLevelNone:
	}
	if to >= zerolog.InfoLevel && !b.isNew(msg, keyvals) {
		to = zerolog.DebugLevel
	}
	if to < b.log.GetLevel() {
		return
	}
	b.log.WithLevel(to).Str("component", "kafka").Fields(keyvals).Msg(msg)
}

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
