package kafka

import (
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
)

// bridge writes the client's own log lines one level lower than the client
// would: what it calls an info is our debug, so that the log tells of
// messages and not of metadata.
type bridge struct{ log zerolog.Logger }

func (b bridge) Level() kgo.LogLevel {
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

func (b bridge) Log(level kgo.LogLevel, msg string, keyvals ...any) {
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
	b.log.WithLevel(to).Str("component", "kafka").Fields(keyvals).Msg(msg)
}
