package route

import "time"

// forecast says how many of the calls under way will end soon, from how long
// most calls take. It counts them in buckets of bucketLength by the time that
// each is expected to end.
type forecast struct {
	typical time.Duration    // wanders about the median of the calls' lengths
	latest  int64            // the last bucket in which a call was expected to end
	buckets [forecasts]int32 // by bucket number modulo the array's length
}

// forecasts is the farthest forecast, in buckets: some twenty seconds. Calls
// that take longer are expected then, and no throughput hangs on the error.
const forecasts = 1 << 12

// expect notes a call that starts now.
func (f *forecast) expect(now time.Time) (due int64) {
	ahead := min(f.typical/bucketLength, forecasts-16)
	due = now.UnixNano()/int64(bucketLength) + int64(ahead)
	f.buckets[due%forecasts]++
	f.latest = max(f.latest, due)
	return due
}

// withdraw notes that an expected call was not made.
func (f *forecast) withdraw(due int64) { f.buckets[due%forecasts]-- }

// ended notes that an expected call has ended after that time.
func (f *forecast) ended(due int64, length time.Duration) {
	f.withdraw(due)
	// Up and down by the same share: the value where as many calls are longer
	// as are shorter. A few calls that hang do not move it.
	step := max(f.typical/16, 10*time.Microsecond)
	if length > f.typical {
		f.typical = min(f.typical+step, length)
	} else {
		f.typical = max(f.typical-step, length)
	}
}

// nearby is lookAhead in buckets.
const nearby = int64(lookAhead / bucketLength)

// beyond reports whether calls may be expected to end later than soon.
func (f *forecast) beyond(now time.Time) bool {
	return f.latest > now.UnixNano()/int64(bucketLength)+nearby
}

// soon returns how many calls are expected to end in the next lookAhead, or
// are overdue by no more than that: what is later still has no forecast.
func (f *forecast) soon(now time.Time) int {
	bucket := now.UnixNano() / int64(bucketLength)
	n := int32(0)
	for b := bucket - nearby; b <= bucket+nearby; b++ {
		n += f.buckets[b%forecasts]
	}
	return int(n)
}

// tally counts events of the last lookAhead in four buckets.
type tally struct {
	counts [4]int
	bucket int64 // number of the newest bucket since the zero time of the clock
}

const bucketLength = lookAhead / 4

func (r *tally) add(now time.Time) {
	r.rotate(now)
	r.counts[r.bucket%4]++
}

func (r *tally) recent(now time.Time) int {
	r.rotate(now)
	return r.counts[0] + r.counts[1] + r.counts[2] + r.counts[3]
}

// rotate empties the buckets that time has passed over.
func (r *tally) rotate(now time.Time) {
	bucket := now.UnixNano() / int64(bucketLength)
	if bucket-r.bucket >= 4 || bucket < r.bucket { // long ago, or the clock was set back
		r.counts, r.bucket = [4]int{}, bucket
		return
	}
	for r.bucket < bucket {
		r.bucket++
		r.counts[r.bucket%4] = 0
	}
}
