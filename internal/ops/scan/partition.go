package scan

import (
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Guess is a partition that may hold a key, and the partitioner that chooses it.
type Guess struct {
	Partition int32
	By        string
}

// Guesses returns where the usual producers put a key among n partitions: by
// murmur2 as the Java client and franz-go do, then by CRC32 as librdkafka does
// unless told otherwise. Equal guesses are one.
func Guesses(key []byte, n int) []Guess {
	guesses := []Guess{{Murmur2(key, n), "murmur2"}}
	if crc := CRC32(key, n); crc != guesses[0].Partition {
		guesses = append(guesses, Guess{crc, "crc32"})
	}
	return guesses
}

// Murmur2 returns the partition of a key among n, as the Java client's default
// partitioner chooses.
func Murmur2(key []byte, n int) int32 {
	if key == nil {
		key = []byte{}
	}
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&kgo.Record{Key: key}, n)) //nolint:gosec // below n
}

// CRC32 returns the partition of a key among n, as librdkafka's default
// partitioner consistent_random chooses for a key that is not empty.
func CRC32(key []byte, n int) int32 {
	return int32(crc32.ChecksumIEEE(key) % uint32(n)) //nolint:gosec // n is a number of partitions
}
