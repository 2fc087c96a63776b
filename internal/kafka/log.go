package kafka

import (
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bridge writes the client's own log lines one level lower than the client
// would: what it calls an info is our debug, so that the log tells of
// messages and not of metadata.
type bridge struct {
	log zerolog.Logger

	mu   sync.Mutex
	said map[string]time.Time // when each complaint came last, by its text
}

// Logger returns a logger for a client that writes to log.
func Logger(log zerolog.Logger) kgo.Logger { return &bridge{log: log} }

// silence is how long a complaint must not have come to be said again: a client
// that cannot connect complains several times a second, for as long as that
// lasts.
const silence = time.Minute

// maxSaid bounds the complaints that are remembered.
const maxSaid = 100

// news reports whether a complaint did not come lately.
func (b *bridge) news(msg string, keyvals []any) bool {
	words := []string{msg}
	for i := 0; i+1 < len(keyvals); i += 2 {
		if err, ok := keyvals[i+1].(error); ok {
			words = append(words, err.Error())
		}
	}
	text := strings.Join(withoutAddresses(strings.Join(words, " ")), " ")
	b.mu.Lock()
	defer b.mu.Unlock()
	last, known := b.said[text]
	if !known && (b.said == nil || len(b.said) >= maxSaid) {
		b.said = map[string]time.Time{}
	}
	b.said[text] = time.Now()
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
	if to >= zerolog.InfoLevel && !b.news(msg, keyvals) {
		to = zerolog.DebugLevel
	}
	if to < b.log.GetLevel() {
		return
	}
	b.log.WithLevel(to).Str("component", "kafka").Fields(keyvals).Msg(msg)
}
