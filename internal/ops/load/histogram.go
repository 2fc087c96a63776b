package load

import (
	"math/bits"
	"time"
)

// subBuckets is how many buckets a power of two is split into: a quantile is
// at most a hundredth above the true one.
const (
	subBits    = 7
	subBuckets = 1 << subBits
)

// histogram counts durations in microseconds. Its size does not depend on how
// many it has counted. The zero histogram is empty; it is not safe for
// concurrent use.
type histogram struct {
	counts [(64 - subBits) * subBuckets]uint64
	total  uint64
	most   int64
}

// add counts a duration; one below zero, which two clocks may make, is zero.
func (h *histogram) add(d time.Duration) {
	v := max(d.Microseconds(), 0)
	h.counts[bucket(v)]++
	h.total++
	h.most = max(h.most, v)
}

// bucket returns the index of a value: one of its own up to 2*subBuckets, and
// from there one for each range of 2^shift values.
func bucket(v int64) int {
	shift := max(bits.Len64(uint64(v))-subBits-1, 0) //nolint:gosec // add keeps it above zero
	return shift*subBuckets + int(v>>shift)
}

// upper returns the largest value of a bucket.
func upper(i int) int64 {
	if i < 2*subBuckets {
		return int64(i)
	}
	shift := i/subBuckets - 1
	return int64(i-shift*subBuckets+1)<<shift - 1
}

// quantile returns a duration that a share q of all is at most; zero where
// none was counted.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.total)), uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && (seen > rank || seen == h.total) {
			return time.Duration(min(upper(i), h.most)) * time.Microsecond
		}
	}
	return 0
}

// Latency sums up many durations, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func (h *histogram) sum() Latency {
	ms := func(q float64) float64 { return float64(h.quantile(q).Microseconds()) / 1000 }
	return Latency{P50: ms(0.5), P95: ms(0.95), P99: ms(0.99), Max: ms(1)}
}
