package models

import "strconv"

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
