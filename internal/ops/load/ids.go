package load

import (
	"crypto/rand"
	"encoding/hex"
)

const (
	idLen     = 36
	idPrefix  = 24 // characters that all ids of a run share
	idDigits  = idLen - idPrefix
	hexDigits = "0123456789abcdef"
)

// runID makes and knows the message ids of one run: UUIDs of version 4 whose
// first 24 characters are the run's, drawn by chance, and whose last 12 are
// the message's number. So a number needs no map to be found again.
type runID struct{ prefix string }

func newRunID() runID {
	var b [idPrefix / 2]byte
	_, _ = rand.Read(b[:]) // never fails: the documentation says so
	h := hex.EncodeToString(b[:])
	variant := hexDigits[8+b[8]&3] // RFC 9562, 4.1
	return runID{h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-" + string(variant) + h[17:20] + "-"}
}

// put writes the digits of number n over the end of an id.
func (r runID) put(id []byte, n uint64) {
	for i := idLen - 1; i >= idPrefix; i-- {
		id[i] = hexDigits[n&15]
		n >>= 4
	}
}

// number returns the number of an id, and false for one of no message of this
// run.
func (r runID) number(id []byte) (uint64, bool) {
	if len(id) != idLen || string(id[:idPrefix]) != r.prefix {
		return 0, false
	}
	n := uint64(0)
	for _, c := range id[idPrefix:] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}
