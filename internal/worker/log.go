package worker

import (
	"fmt"
	"path"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// failuresASecond bounds the lines about failed messages: in a bad minute they
// would otherwise be what the worker is busy with.
const failuresASecond = 10

// failureLog leaves lines out above failuresASecond, and tells with the next
// one how many. The zero failureLog is ready for use.
type failureLog struct {
	mu      sync.Mutex
	began   time.Time // of the present second
	lines   int       // in it
	leftOut int
}

// line returns a line of that level to fill in, or nil, which takes everything
// and writes nothing.
func (l *failureLog) line(log zerolog.Logger, level zerolog.Level) *zerolog.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.began) >= time.Second {
		l.began, l.lines = now, 0
	}
	if l.lines == failuresASecond {
		l.leftOut++
		return nil
	}
	l.lines++
	e := log.WithLevel(level) //nolint:zerologlint // the caller sends it
	if l.leftOut > 0 {
		e = e.Int("left_out_before", l.leftOut)
		l.leftOut = 0
	}
	return e
}

// quotes are the names of meta entries in a violation's text.
var quotes = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// unquoted leaves names that a request chose out of a text: a key of meta may
// be an address.
func unquoted(text string) string { return quotes.ReplaceAllString(text, "…") }

// debug begins a line about a message that most operators do not want.
func (e *Engine) debug(m *job) *zerolog.Event {
	return m.log(e.opts.Log.Debug()).Func(func(line *zerolog.Event) { //nolint:zerologlint // the caller sends it
		var list []string
		for _, i := range m.recipients[:min(len(m.recipients), shownRecipients)] {
			list = append(list, util.Mask(m.delivery.Recipients[i]))
		}
		line.Strs("to", list)
	})
}

// shownRecipients bounds how many of a message's recipients a line shows.
const shownRecipients = 10

// log names the message in a line.
func (m *job) log(e *zerolog.Event) *zerolog.Event {
	return e.Str("message_id", m.delivery.Envelope.MessageID).Int("attempt", m.progress.Spent()).
		Func(traced(m.traceID, m.delivery.Envelope.TenantID))
}

// traced adds what a request told of its sender and its trace.
func traced(traceID, tenantID string) func(*zerolog.Event) {
	return func(e *zerolog.Event) {
		if traceID != "" {
			e.Str("trace_id", traceID)
		}
		if tenantID != "" {
			e.Str("tenant_id", tenantID)
		}
	}
}

// logPanic names the place and never the value, which may hold anything.
func (e *Engine) logPanic(r any, doing string, rec *models.Record) {
	e.panics.line(e.opts.Log, zerolog.ErrorLevel).Str("doing", doing).Str("panic", fmt.Sprintf("%T", r)).Strs("at", panicSite()).
		Int32("partition", rec.Partition).Int64("offset", rec.Offset).
		Msg("panic: the message goes on, the fault is in the code at this place")
}

// panicSite returns the innermost places of the code that panicked. It is
// called while the panic is being recovered.
func panicSite() []string {
	const deepest = 5
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	var at []string
	panicked := false
	for f, more := frames.Next(); more && len(at) < deepest; f, more = frames.Next() {
		if panicked && !strings.HasPrefix(f.Function, "runtime.") {
			at = append(at, fmt.Sprintf("%s:%d", path.Join(path.Base(path.Dir(f.File)), path.Base(f.File)), f.Line))
		}
		panicked = panicked || f.Function == "runtime.gopanic"
	}
	return at
}
