package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Of a record batch (KIP-98, message format 2).
const (
	atLength   = 8  // of what follows
	atMagic    = 16 // the format's number
	headerSize = 61

	isTransaction = 0x10 // of the attributes
	isControl     = 0x20
	isAppendTime  = 0x08
	codecBits     = 0x07
)

var errCut = errors.New("a record batch is cut or damaged")

// batches visits what a fetch answered with, but for what was rolled back, and
// returns where to go on.
func (r *reader) batches(s Span, raw []byte, rolledBack *aborted) (int64, error) {
	next := s.From
	for len(raw) >= headerSize {
		end := atLength + 4 + int(int32(binary.BigEndian.Uint32(raw[atLength:]))) //nolint:gosec // the sign is meant
		if raw[atMagic] != 2 {
			return next, fmt.Errorf("read %s/%d: record format %d is older than Kafka 0.11", r.topic.Name, s.Partition, raw[atMagic])
		}
		if end > len(raw) {
			break // the last one may be cut: it is asked for again
		}
		b := batch{Span: s, topic: r.topic.Name}
		if end < headerSize || b.ReadFrom(raw[:end]) != nil {
			return next, fmt.Errorf("read %s/%d: %w", r.topic.Name, s.Partition, errCut)
		}
		hidden := rolledBack.hides(&b) // each is looked at, wanted or not
		if !hidden && b.last() >= s.From && b.FirstOffset < s.To {
			if err := r.batch(&b); err != nil {
				return next, err
			}
		}
		next, raw = max(next, b.last()+1), raw[end:]
	}
	return next, nil
}

// batch is one of a span's, decoded but for its records.
type batch struct {
	Span
	kmsg.RecordBatch

	topic string
}

func (b *batch) last() int64         { return b.FirstOffset + int64(b.LastOffsetDelta) }
func (b *batch) control() bool       { return b.Attributes&isControl != 0 }
func (b *batch) transactional() bool { return b.Attributes&isTransaction != 0 }

// fail returns an error that says where reading ended.
func (b *batch) fail(doing string, err error) error {
	return fmt.Errorf("%s %s/%d at offset %d: %w", doing, b.topic, b.Partition, b.FirstOffset, err)
}

// batch visits the wanted records of a batch. Keys are compared in place:
// records that are not wanted are not decoded.
func (r *reader) batch(b *batch) error {
	records := b.Records
	if codec := b.Attributes & codecBits; codec != 0 {
		out, err := r.decompress(records, kgo.CompressionCodecType(codec))
		if err != nil {
			return b.fail("decompress", err)
		}
		r.buffer.b, records = out, out
	}
	for range b.NumRecords {
		size, n := binary.Varint(records)
		if n <= 0 || size < 0 || size > int64(len(records)-n) {
			return b.fail("read", errCut)
		}
		whole := records[:n+int(size)]
		records = records[len(whole):]
		key, delta, ok := keyOf(whole[n:])
		if !ok {
			return b.fail("read", errCut)
		}
		offset := b.FirstOffset + delta
		if offset < b.From || offset >= b.To || r.want != nil && !r.want(key) {
			continue
		}
		rec, err := b.record(whole)
		if err != nil {
			return err
		}
		if err := r.visit(rec); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) decompress(records []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecLz4 {
		if out, ok := unlz4(r.buffer.b[:0], records); ok {
			return out, nil
		}
	}
	return r.decompressor.Decompress(records, codec) //nolint:wrapcheck // batch says where
}

// keyOf returns the key of a record, nil where there is none, and its
// distance from the batch's first offset.
func keyOf(body []byte) (key []byte, delta int64, ok bool) {
	if len(body) == 0 {
		return nil, 0, false
	}
	body = body[1:] // attributes
	_, n := binary.Varint(body)
	if n <= 0 {
		return nil, 0, false
	}
	body = body[n:] // timestamp
	delta, n = binary.Varint(body)
	if n <= 0 {
		return nil, 0, false
	}
	body = body[n:]
	size, n := binary.Varint(body)
	if n <= 0 || size > int64(len(body)-n) {
		return nil, 0, false
	}
	if size < 0 {
		return nil, delta, true
	}
	return body[n : n+int(size)], delta, true
}

// record decodes one record, of memory that stays its own.
func (b *batch) record(whole []byte) (*kgo.Record, error) {
	var raw kmsg.Record
	if err := raw.ReadFrom(append([]byte(nil), whole...)); err != nil {
		return nil, b.fail("read", err)
	}
	millis := b.MaxTimestamp
	if b.Attributes&isAppendTime == 0 {
		millis = b.FirstTimestamp + raw.TimestampDelta64
	}
	rec := &kgo.Record{
		Topic: b.topic, Partition: b.Partition, Offset: b.FirstOffset + int64(raw.OffsetDelta),
		Timestamp: time.UnixMilli(millis), Key: raw.Key, Value: raw.Value,
	}
	for _, h := range raw.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return rec, nil
}
