package models

import (
	"strconv"
	"unicode/utf8"
)

// Header names. The worker writes all but HeaderTraceParent anew.
const (
	HeaderContentType     = "content-type"
	HeaderTraceParent     = "traceparent" // W3C Trace Context
	HeaderTenantID        = "tenant-id"
	HeaderWorker          = "worker"
	HeaderSourceTopic     = "source-topic"
	HeaderSourcePartition = "source-partition"
	HeaderSourceOffset    = "source-offset"
	HeaderSourceTimestamp = "source-timestamp" // milliseconds since 1970
	HeaderAttemptRun      = "attempt-run"      // decimal, from 2; see StatusEvent
)

// TraceParent returns the record's traceparent header, or "" where there is
// none or it is not one of W3C Trace Context version 00 with a trace id.
func (r *Record) TraceParent() string {
	tp := r.Header(HeaderTraceParent)
	if len(tp) != 55 || tp[0] != '0' || tp[1] != '0' || tp[2] != '-' || tp[35] != '-' || tp[52] != '-' {
		return ""
	}
	if !traceHex(tp[3:35], true) || !traceHex(tp[36:52], true) || !traceHex(tp[53:], false) {
		return ""
	}
	return string(tp)
}

// traceHex reports whether b is lower-case hex, and not all zeros where the
// standard calls that invalid.
func traceHex(b []byte, nonZero bool) bool {
	zero := true
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		zero = zero && c == '0'
	}
	return !nonZero || !zero
}

// TraceID returns the trace id of the record's traceparent, or "".
func (r *Record) TraceID() string {
	if tp := r.TraceParent(); tp != "" {
		return tp[3:35]
	}
	return ""
}

// FallbackID returns what stands for the message id of a request that has no
// usable one: its key where that is UTF-8 text of at most MaxKeyBytes, else
// TOPIC/PARTITION/OFFSET.
func (r *Record) FallbackID() string {
	if n := len(r.Key); n > 0 && n <= MaxKeyBytes && utf8.Valid(r.Key) {
		return string(r.Key)
	}
	return r.Position()
}

// Position returns TOPIC/PARTITION/OFFSET.
func (r *Record) Position() string {
	return r.Topic + "/" + strconv.Itoa(int(r.Partition)) + "/" + strconv.FormatInt(r.Offset, 10)
}
