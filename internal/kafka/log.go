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
	var event *zerolog.Event
	switch level {
	case kgo.LogLevelDebug:
		event = b.log.Trace()
	case kgo.LogLevelInfo:
		event = b.log.Debug()
	case kgo.LogLevelWarn:
		event = b.log.Info()
	default:
		event = b.log.Warn()
	}
	event.Str("component", "kafka").Fields(keyvals).Msg(msg)
}
