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

// Header returns the last header of that name, or nil where there is none.
func (r *Record) Header(key string) []byte {
	for _, v := range slices.Backward(r.Headers) {
		if v.Key == key {
			return v.Value
		}
	}
	return nil
}
