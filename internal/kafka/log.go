package kafka

import (
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
