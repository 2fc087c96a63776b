package journal

import (
	"cmp"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"messaging-worker/internal/message"
)

// maxMetadata is what Kafka takes with a commit by default
// (offset.metadata.max.bytes).
const maxMetadata = 4096

// Checkpoints is what a commit says beyond its position: the recipients resolved in
// rounds of calls that had not ended. No event tells of them yet, and a round
// of ten calls that is cut at the ninth must not make eight twice.
//
// On the wire it is a list of OFFSET.TIMESTAMP.ACCEPTED.REFUSED.ASSUMED, joined
// by ";": base 36 numbers, then sets of recipients as hexadecimal numbers with
// bit i for recipient i.
type Checkpoints map[Key]message.Resolved

// String returns at most limit bytes: requests with the lowest offsets first,
// and those left out that do not fit. What is left out may at worst be called
// again.
func (k Checkpoints) String(limit int) string {
	var b strings.Builder
	keys := slices.SortedFunc(maps.Keys(k), func(x, y Key) int { return cmp.Compare(x.Offset, y.Offset) })
	for _, key := range keys {
		s := k[key]
		entry := strings.Join([]string{
			strconv.FormatInt(key.Offset, 36), strconv.FormatInt(key.Timestamp, 36),
			bits(s.Accepted), bits(s.Refused), bits(s.Indeterminate),
		}, ".")
		if b.Len()+1+len(entry) > limit {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(entry)
	}
	return b.String()
}

// ParseCheckpoints reads what String wrote. What cannot be read is left out.
func ParseCheckpoints(text string) Checkpoints {
	k := Checkpoints{}
	for entry := range strings.SplitSeq(text, ";") {
		parts := strings.Split(entry, ".")
		if len(parts) != 5 {
			continue
		}
		offset, err := strconv.ParseInt(parts[0], 36, 64)
		timestamp, err2 := strconv.ParseInt(parts[1], 36, 64)
		if err != nil || err2 != nil {
			continue
		}
		s := message.Resolved{Accepted: numbers(parts[2]), Refused: numbers(parts[3]), Indeterminate: numbers(parts[4])}
		if s.Len() > 0 {
			k[Key{offset, timestamp}] = s
		}
	}
	return k
}

func bits(list []int) string {
	var set big.Int
	for _, i := range list {
		set.SetBit(&set, i, 1)
	}
	return set.Text(16)
}

func numbers(text string) []int {
	set, ok := new(big.Int).SetString(text, 16)
	if !ok || set.Sign() < 0 {
		return nil
	}
	var list []int
	for i := range set.BitLen() {
		if set.Bit(i) == 1 {
			list = append(list, i)
		}
	}
	return list
}
