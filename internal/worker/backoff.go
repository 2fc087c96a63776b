package worker

import (
	"math/rand/v2"
	"time"
)

// Backoff is the schedule of attempts: exponential with full jitter. Base
// must not be above Max.
type Backoff struct {
	Base, Max time.Duration
}

// Ceiling returns the longest wait after failed attempt n, from 1:
// min(Max, Base·2^(n-1)).
func (b Backoff) Ceiling(n int) time.Duration {
	d := b.Base
	for ; n > 1 && d < b.Max; n-- {
		if d > b.Max/2 {
			return b.Max
		}
		d *= 2
	}
	return min(d, b.Max)
}

// Wait draws the wait after failed attempt n: uniform in [0, Ceiling(n)].
func (b Backoff) Wait(n int) time.Duration {
	return time.Duration(rand.Int64N(int64(b.Ceiling(n)) + 1))
}
