package models

import (
	"bytes"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Record is a request as it lies in Kafka. It is read-only once consumed and
// may be shared by goroutines.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte // nil and empty both mean that there is no key
	Value     []byte // nil is a null value (a tombstone)
	Headers   []Header
}

// Header is one Kafka record header. Keys may repeat.
type Header struct {
	Key   string
	Value []byte
}

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

// What a record's timestamp can be: no request is older than the year 2000, and
// brokers refuse what is more than an hour ahead of their clock (the default of
// message.timestamp.after.max.ms since Kafka 4.0).
const (
	firstRecordMilli = 946684800000 // 2000-01-01T00:00:00Z
	recordAhead      = time.Hour
)

// UsableTime reports whether a Kafka record's timestamp can be the time when it
// was written. Producers put there what they like: none (-1), seconds in the
// place of milliseconds, the time of a clock that nobody has set. Nothing may
// be measured or looked up by such a time.
func UsableTime(at time.Time) bool {
	return !at.Before(time.UnixMilli(firstRecordMilli)) && !at.After(time.Now().Add(recordAhead))
}

// Header returns the last header of that name, or nil where there is none.
func (r *Record) Header(key string) []byte {
	for _, v := range slices.Backward(r.Headers) {
		if v.Key == key {
			return v.Value
		}
	}
	return nil
}

// TraceParent returns the record's traceparent header, or "" where there is
// none or it is not one of W3C Trace Context version 00 with a trace id.
func (r *Record) TraceParent() string {
	tp := r.Header(HeaderTraceParent)
	if len(tp) != 55 || !bytes.HasPrefix(tp, []byte("00-")) || tp[35] != '-' || tp[52] != '-' {
		return ""
	}
	trace, parent, flags := tp[3:35], tp[36:52], tp[53:]
	if !only(hex, trace) || !only(hex, parent) || !only(hex, flags) || only("0", trace) || only("0", parent) {
		return ""
	}
	return string(tp)
}

const hex = "0123456789abcdef"

func only(chars string, text []byte) bool { return len(bytes.Trim(text, chars)) == 0 }

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

// Source names a request record: the identity of all that is written about it.
type Source struct {
	Topic     string
	Partition int32
	Offset    int64

	// Timestamp, in milliseconds since 1970, tells the record from another at
	// the same offset of a topic that was created again.
	Timestamp int64
}

// header is a Kafka record header, of this package or of the client.
type header interface {
	~struct {
		Key   string
		Value []byte
	}
}

// SourceOf reads the headers that name the request of an event or a dead
// letter. Of repeated headers the last counts. What is not there or cannot be
// read is empty or -1, and then the result is false.
func SourceOf[H header](headers []H) (Source, bool) {
	s := Source{Partition: -1, Offset: -1, Timestamp: -1}
	var topic, partition, offset, timestamp bool
	for i := range headers {
		h := Header(headers[i])
		var n int64
		switch h.Key {
		case HeaderSourceTopic:
			s.Topic, topic = string(h.Value), true
		case HeaderSourcePartition:
			n, partition = decimal(h.Value, 32)
			s.Partition = int32(n) //nolint:gosec // read as 32 bits
		case HeaderSourceOffset:
			s.Offset, offset = decimal(h.Value, 64)
		case HeaderSourceTimestamp:
			s.Timestamp, timestamp = decimal(h.Value, 64)
		}
	}
	return s, topic && partition && offset && timestamp
}

// decimal returns -1 for what is no number.
func decimal(text []byte, bits int) (int64, bool) {
	n, err := strconv.ParseInt(string(text), 10, bits)
	if err != nil {
		return -1, false
	}
	return n, true
}
