package scan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
)

// The vectors are librdkafka's own (tests/0048-partitioner.c), those of murmur2
// made with the Java client.
func TestPartitionsAreThoseOfTheProducers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key          string
		crc, murmur2 uint32
	}{
		{"", 0, 0x106e08d9},
		{"23456", 0xb1b451d7, 0x058d780f},
		{"this is another string with more length to it perhaps", 0xb0150df7, 0x4f7703da},
		{"hejsan", 0xd077037e, 0x5ec19395},
	} {
		for _, n := range []int{1, 7, 12, 17, 100} {
			if got, want := scan.CRC32([]byte(tt.key), n), int32(tt.crc%uint32(n)); got != want {
				t.Errorf("CRC32(%q, %d) = %d, want %d", tt.key, n, got, want)
			}
			if got, want := scan.Murmur2([]byte(tt.key), n), int32(tt.murmur2%uint32(n)); got != want {
				t.Errorf("Murmur2(%q, %d) = %d, want %d", tt.key, n, got, want)
			}
		}
	}
}

func TestMurmur2IsWhatTheClientProducesBy(t *testing.T) {
	t.Parallel()
	topic := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for i := range 1000 {
		key := []byte{byte(i), byte(i >> 8), 'x'}
		if got, want := scan.Murmur2(key, 12), int32(topic.Partition(&kgo.Record{Key: key}, 12)); got != want {
			t.Fatalf("Murmur2(%v, 12) = %d, want %d", key, got, want)
		}
	}
}

func TestGuesses(t *testing.T) {
	t.Parallel()
	const key = "hejsan" // murmur2 0x5ec19395, CRC32 0xd077037e
	for _, tt := range []struct {
		name     string
		n        int
		requests []int
		want     []scan.Guess
	}{
		{"one partition", 1, []int{1}, []scan.Guess{{[]int32{0}, "murmur2"}}},
		{"both partitioners", 17, []int{17}, []scan.Guess{{[]int32{5}, "murmur2"}, {[]int32{14}, "crc32"}}},
		{"lanes with equal numbers", 17, []int{17, 17, 17}, []scan.Guess{{[]int32{5}, "murmur2"}, {[]int32{14}, "crc32"}}},
		{"lanes with different numbers", 100, []int{17, 100}, []scan.Guess{{[]int32{5, 33}, "murmur2"}, {[]int32{14, 6}, "crc32"}}},
		{"fewer partitions of events", 3, []int{7, 12}, []scan.Guess{{[]int32{0, 1}, "murmur2"}}},
	} {
		if diff := cmp.Diff(tt.want, scan.Guesses([]byte(key), tt.n, tt.requests...)); diff != "" {
			t.Errorf("%s: guesses (-want +got):\n%s", tt.name, diff)
		}
	}
}
