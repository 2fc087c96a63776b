package scan

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// seed is a fetch's answer: one batch with two records, the first without a
// key.
func seed() []byte {
	var records []byte
	for i, key := range [][]byte{nil, []byte("k")} {
		r := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: int64(i), Key: key, Value: []byte("v"), Headers: []kmsg.Header{{Key: "h", Value: []byte("x")}}}
		body := r.AppendTo(nil)[1:] // behind the length, which is zero and one byte
		r.Length = int32(len(body))
		records = r.AppendTo(records)
	}
	b := kmsg.RecordBatch{
		FirstOffset: 5, Length: int32(49 + len(records)), Magic: 2, LastOffsetDelta: 1, FirstTimestamp: 1000, MaxTimestamp: 2000,
		NumRecords: 2, Records: records,
	}
	return b.AppendTo(nil)
}

func visited(raw []byte, s Span, rolledBack ...kmsg.FetchResponseTopicPartitionAbortedTransaction) (next int64, seen []*kgo.Record, err error) {
	r := newReader(&Topic{Name: "t"}, nil, func(rec *kgo.Record) error { seen = append(seen, rec); return nil })
	next, err = r.batches(s, raw, newAborted(rolledBack))
	return next, seen, err
}

func TestBatches(t *testing.T) {
	t.Parallel()
	next, seen, err := visited(seed(), Span{3, 5, 100})
	if err != nil || next != 7 || len(seen) != 2 {
		t.Fatalf("batches = %d, %v, %v, want two records and 7", next, seen, err)
	}
	if r := seen[1]; r.Offset != 6 || string(r.Key) != "k" || r.Timestamp.UnixMilli() != 1001 || r.Partition != 3 || seen[0].Key != nil {
		t.Errorf("records %+v and %+v", seen[0], r)
	}
	// A batch that is cut is no error: it is fetched again from its start.
	twice := append(seed(), seed()[:70]...)
	if next, seen, err := visited(twice, Span{3, 5, 100}); err != nil || next != 7 || len(seen) != 2 {
		t.Errorf("batches of a cut answer = %d, %d records, %v", next, len(seen), err)
	}
	control := seed()
	control[atAttributes+1] |= isControl
	if next, seen, err := visited(control, Span{3, 5, 100}); err != nil || next != 7 || len(seen) != 0 {
		t.Errorf("batches of a control batch = %d, %d records, %v, want it passed over", next, len(seen), err)
	}
	old := seed()
	old[atMagic] = 1
	if _, _, err := visited(old, Span{3, 5, 100}); err == nil {
		t.Error("a batch of format 1 is no error")
	}
}

// transaction is one of that producer that was rolled back.
func transaction(producer, first int64) kmsg.FetchResponseTopicPartitionAbortedTransaction {
	return kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: producer, FirstOffset: first}
}

// written is a batch of one record, or with a marker's type a control batch.
func written(offset, producer int64, attributes int16, key []byte) []byte {
	r := kmsg.Record{Key: key}
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	records := r.AppendTo(nil)
	return (&kmsg.RecordBatch{
		FirstOffset: offset, Length: int32(49 + len(records)), Magic: 2, Attributes: attributes, ProducerID: producer, NumRecords: 1, Records: records,
	}).AppendTo(nil)
}

// What is left out begins where the answer says and ends at the producer's
// marker, and no other producer's records go with it. The answer's list need
// not be in order.
func TestRolledBackBatches(t *testing.T) {
	t.Parallel()
	const commits, rollsBack = "\x00\x00\x00\x01", "\x00\x00\x00\x00"
	answer := bytes.Join([][]byte{
		written(0, 1, isTransaction, []byte("committed before")),
		written(1, 1, isTransaction|isControl, []byte(commits)),
		written(2, 1, isTransaction, []byte("rolled back")),
		written(3, 2, isTransaction, []byte("of another producer")),
		written(4, 1, 0, []byte("outside of transactions")),
		written(5, 2, isTransaction|isControl, []byte(commits)),
		written(6, 1, isTransaction|isControl, []byte("odd")),
		written(7, 1, isTransaction, []byte("still rolled back")),
		written(8, 1, isTransaction|isControl, []byte(rollsBack)),
		written(9, 1, isTransaction, []byte("committed after")),
		written(10, 1, isTransaction|isControl, []byte(commits)),
		written(11, 1, isTransaction, []byte("rolled back again")),
		written(12, 1, isTransaction|isControl, []byte(rollsBack)),
	}, nil)
	next, seen, err := visited(answer, Span{0, 0, 100}, transaction(1, 11), transaction(1, 2))
	var keys []string
	for _, r := range seen {
		keys = append(keys, string(r.Key))
	}
	want := []string{"committed before", "of another producer", "outside of transactions", "committed after"}
	if err != nil || next != 13 || !slices.Equal(keys, want) {
		t.Errorf("batches = %d, %v, %q, want 13 and %q", next, err, keys, want)
	}
}

// FuzzLZ4 holds that a frame comes out as the library has it, or is left to it.
func FuzzLZ4(f *testing.F) {
	for _, content := range []string{"", "a", string(bytes.Repeat([]byte("abc"), 50_000))} {
		for _, options := range [][]lz4.Option{
			nil, {lz4.BlockChecksumOption(true)}, {lz4.SizeOption(uint64(len(content)))},
		} {
			var b bytes.Buffer
			w := lz4.NewWriter(&b)
			_ = w.Apply(append(options, lz4.BlockSizeOption(lz4.Block64Kb))...)
			_, _ = w.Write([]byte(content))
			_ = w.Close()
			if out, ok := unlz4(nil, b.Bytes()); !ok || string(out) != content {
				f.Errorf("a frame of %d bytes comes out as %d, %v", len(content), len(out), ok)
			}
			f.Add(b.Bytes())
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 5 && frame[5]>>4&7 > 4 {
			return // blocks of megabytes take their time and are nothing new
		}
		got, ok := unlz4(nil, frame)
		want, err := kgo.DefaultDecompressor().Decompress(frame, kgo.CodecLz4)
		if ok && err == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, and the library has %d others", len(got), len(want))
		}
	})
}

// atAttributes is where the attributes of a batch begin.
const atAttributes = 21

// FuzzBatches holds that no answer makes the reader panic or read beyond it.
func FuzzBatches(f *testing.F) {
	f.Add(seed())
	for codec := range byte(5) {
		b := seed()
		b[atAttributes+1] |= codec
		f.Add(b)
	}
	cut, err := hex.DecodeString("00000000000000050000003100000000020000000000000000000100000000000003e800000000000007d0")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(cut)
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		_, _, _ = visited(raw, Span{0, 0, 1 << 40}) // that it returns is all
		_, _, _ = visited(raw, Span{0, 0, 1 << 40}, transaction(0, 0))
		if !bytes.Equal(before, raw) {
			t.Error("the answer was changed")
		}
	})
}
