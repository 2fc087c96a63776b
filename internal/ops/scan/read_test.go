package scan_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
	testkafka "messaging-worker/test/kafka"
)

// filled returns a topic of three partitions with 900 records of 100 keys.
func filled(t *testing.T, codec kgo.CompressionCodec) (*scan.Topic, []string) {
	t.Helper()
	cluster := testkafka.Embedded(t, kfake.NumBrokers(2), kfake.SeedTopics(3, "events"))
	client, err := kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var records []*kgo.Record
	var all []string
	for i := range 900 {
		r := &kgo.Record{
			Topic: "events", Partition: int32(i % 3), Key: fmt.Append(nil, "key-", i%100), Value: fmt.Append(nil, "value-", i),
			Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)), Headers: []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}, {Key: "empty"}},
		}
		if i%10 == 9 {
			r.Key = nil
		}
		records = append(records, r)
	}
	for chunk := 0; chunk < len(records); chunk += 150 { // several batches a partition
		if err := client.ProduceSync(t.Context(), records[chunk:chunk+150]...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range records {
		all = append(all, tell(r))
	}
	topic, err := scan.Open(t.Context(), client, "events")
	if err != nil {
		t.Fatal(err)
	}
	return topic, all
}

func tell(r *kgo.Record) string {
	return fmt.Sprintf("%d %q %s %d %q", r.Partition, r.Key, r.Value, r.Timestamp.UnixMilli(), r.Headers)
}

func read(t *testing.T, topic *scan.Topic, spans []scan.Span, want func([]byte) bool) map[string]bool {
	t.Helper()
	got, next := map[string]bool{}, map[int32]int64{}
	err := topic.Read(t.Context(), spans, want, func(r *kgo.Record) error {
		if r.Offset < next[r.Partition] {
			t.Errorf("offset %d of partition %d came late", r.Offset, r.Partition)
		}
		next[r.Partition] = r.Offset + 1
		got[tell(r)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func set(list []string, keep func(string) bool) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		if keep == nil || keep(s) {
			m[s] = true
		}
	}
	return m
}

func TestReadGivesWhatWasProduced(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, all := filled(t, codec)
			spans, err := topic.Spans(t.Context(), time.Time{})
			if err != nil || scan.Total(spans) != 900 {
				t.Fatalf("Spans = %v, %v, want 900 offsets", spans, err)
			}
			if diff := cmp.Diff(set(all, nil), read(t, topic, spans, nil)); diff != "" {
				t.Errorf("all records (-want +got):\n%s", diff)
			}
			want := set(all, func(s string) bool { return strings.Contains(s, `"key-42"`) })
			if diff := cmp.Diff(want, read(t, topic, spans, func(key []byte) bool { return string(key) == "key-42" })); diff != "" || len(want) != 9 {
				t.Errorf("records of one key (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadKeepsToTheSpans(t *testing.T) {
	t.Parallel()
	topic, all := filled(t, kgo.Lz4Compression())
	got := read(t, topic, []scan.Span{{Partition: 1, From: 70, To: 72}}, nil)
	want := set(all, func(s string) bool { return strings.Contains(s, "value-211 ") || strings.Contains(s, "value-214 ") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("two records (-want +got):\n%s", diff)
	}
	if spans, err := topic.Spans(t.Context(), time.UnixMilli(1_700_000_000_450)); err != nil || scan.Total(spans) != 450 {
		t.Errorf("Spans of the younger half = %v, %v, want 450 offsets", spans, err)
	}
	if spans, err := topic.Spans(t.Context(), time.Now(), 0, 1); err != nil || len(spans) != 0 {
		t.Errorf("Spans of the future = %v, %v, want none", spans, err)
	}
	rec, err := topic.Record(t.Context(), 2, 10)
	if err != nil || rec == nil || string(rec.Value) != "value-32" {
		t.Errorf("Record = %v, %v, want value-32", rec, err)
	}
	for _, place := range [][2]int64{{2, 300}, {2, -1}, {7, 0}} {
		if rec, err := topic.Record(t.Context(), int32(place[0]), place[1]); err != nil || rec != nil {
			t.Errorf("Record(%v) = %v, %v, want none", place, rec, err)
		}
	}
}

func TestReadEnds(t *testing.T) {
	t.Parallel()
	topic, _ := filled(t, kgo.NoCompression())
	spans, err := topic.Spans(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	enough, seen := errors.New("enough"), 0
	err = topic.Read(t.Context(), spans, nil, func(*kgo.Record) error {
		if seen++; seen == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 10 {
		t.Errorf("Read = %v after %d records, want the visitor's error after 10", err, seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := topic.Read(ctx, spans, nil, func(*kgo.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want the context's cause", err)
	}
}

// A time that is none, or lies before all records, is their start: below zero a
// ListOffsets request means something else.
func TestSpansSinceAnyTime(t *testing.T) {
	t.Parallel()
	topic, _ := filled(t, kgo.NoCompression())
	for _, since := range []time.Time{
		{},
		time.UnixMilli(math.MinInt64), time.UnixMilli(math.MinInt64).Add(-time.Hour), time.UnixMilli(-600_001),
		time.UnixMilli(-4), time.UnixMilli(-1), time.UnixMilli(0), time.UnixMilli(1), time.UnixMilli(1_700_000_000_000),
	} {
		spans, err := topic.Spans(t.Context(), since)
		if err != nil || scan.Total(spans) != 900 {
			t.Errorf("Spans since %v = %v, %v, want all of it", since, spans, err)
		}
	}
	spans, err := topic.Spans(t.Context(), time.UnixMilli(math.MaxInt64))
	if err != nil || len(spans) != 0 {
		t.Errorf("Spans since the end of time = %v, %v, want none", spans, err)
	}
}
