package models

import (
	"slices"
	"time"
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
