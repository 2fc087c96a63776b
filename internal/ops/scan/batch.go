package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kbin"
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
		r.buffer, records = out, out
	}
	rest := kbin.Reader{Src: records}
	for range b.NumRecords {
		whole := rest.Src
		key, delta, ok := keyOf(rest.VarintBytes())
		if !ok {
			return b.fail("read", errCut)
		}
		whole = whole[:len(whole)-len(rest.Src)]
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
		if out, ok := unlz4(r.buffer[:0], records); ok {
			return out, nil
		}
	}
	return r.decompressor.Decompress(records, codec) //nolint:wrapcheck // batch says where
}

// unlz4 appends an lz4 frame's content to dst (LZ4 Frame Format 1.6.1). It
// reports false where the frame is not one of independent blocks without a
// dictionary, as Kafka's clients write them, or is damaged: then the general
// decompressor must decide.
//
// It exists for speed: it skips the frame's checksum, which takes longer than
// decompressing and repeats the batch's CRC, and decompresses the blocks
// straight into dst instead of by way of two buffers. A search of a whole topic
// takes half as long again without it.
func unlz4(dst, frame []byte) ([]byte, bool) {
	const (
		magic, flags              = 0x184d2204, 0x60 // version 01, independent blocks
		blockSum, size, streamSum = 0x10, 0x08, 0x04
		plain                     = 1 << 31 // of a block's size: the block is not compressed
	)
	if len(frame) < 15 || binary.LittleEndian.Uint32(frame) != magic || frame[4]&^(blockSum|size|streamSum) != flags {
		return nil, false
	}
	blockMax, rest, trailer := 1<<(8+2*int(frame[5]>>4&7)), frame[7:], 0
	if frame[4]&size != 0 {
		rest = frame[15:]
	}
	if frame[4]&blockSum != 0 {
		trailer = 4
	}
	for len(rest) >= 4 {
		head := binary.LittleEndian.Uint32(rest)
		n := int(head &^ plain)
		if rest = rest[4:]; head == 0 {
			return dst, true
		}
		if n > len(rest)-trailer {
			break
		}
		if head&plain != 0 {
			dst = append(dst, rest[:n]...)
		} else {
			dst = slices.Grow(dst, blockMax)
			got, err := lz4.UncompressBlock(rest[:n], dst[len(dst):len(dst)+blockMax])
			if err != nil {
				break
			}
			dst = dst[:len(dst)+got]
		}
		rest = rest[n+trailer:]
	}
	return nil, false
}

// keyOf returns the key of a record, nil where there is none, and its
// distance from the batch's first offset.
func keyOf(body []byte) (key []byte, delta int64, ok bool) {
	r := kbin.Reader{Src: body}
	r.Int8()    // attributes
	r.Varlong() // timestamp
	delta = int64(r.Varint())
	key = r.VarintBytes()
	return key, delta, r.Ok()
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
