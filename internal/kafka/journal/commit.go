package journal

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"messaging-worker/internal/message"
)

// Commit is what a commit's metadata says.
type Commit struct {
	Position    Position
	Checkpoints Checkpoints
}

// Position is where a commit says to begin reading: an offset of one partition
// of one incarnation of the status topic.
type Position struct {
	Topic     [16]byte // topic id
	Partition int32
	Offset    int64
}

// positionVersion begins every position on the wire; another one is not ours.
const positionVersion = "mw1"

// String returns the commit's metadata, at most 4,096 bytes.
func (c Commit) String() string {
	p := c.Position
	text := fmt.Sprintf("%s,%s,%d,%d", positionVersion, hex.EncodeToString(p.Topic[:]), p.Partition, p.Offset)
	if checkpoints := c.Checkpoints.String(maxMetadata - len(text) - 1); checkpoints != "" {
		text += "," + checkpoints
	}
	return text
}

// ParseCommit reads commit metadata, and returns false for any that is
// foreign.
func ParseCommit(metadata string) (Commit, bool) {
	var c Commit
	parts := strings.SplitN(metadata, ",", 5)
	if len(parts) < 4 || parts[0] != positionVersion {
		return c, false
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil || len(id) != len(c.Position.Topic) {
		return c, false
	}
	copy(c.Position.Topic[:], id)
	partition, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil || partition < 0 {
		return c, false
	}
	c.Position.Partition = int32(partition)
	if len(parts) == 5 {
		c.Checkpoints = ParseCheckpoints(parts[4])
	}
	c.Position.Offset, err = strconv.ParseInt(parts[3], 10, 64)
	return c, err == nil && c.Position.Offset >= 0
}

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

// Notes remembers where the events of requests begin: every event of request
// r or a later one lies at or behind the status offset that was noted with the
// greatest request up to r. It is not safe for concurrent use.
type Notes struct {
	list  []note // ascending in both
	floor int64  // requests up to here may have events before any new note
}

type note struct{ request, status int64 }

// NewNotes begins with what a recovery found: reading for requests from
// committed on began at status, and requests up to highest had events there.
func NewNotes(committed, status, highest int64) *Notes {
	return &Notes{list: []note{{committed, status}}, floor: highest}
}

// Admitted notes that request r is about to be handled, when status is one
// above the highest status offset acknowledged so far.
func (n *Notes) Admitted(r, status int64) {
	last := n.list[len(n.list)-1]
	// A request that the recovery found has events further back.
	if r <= n.floor || r <= last.request || status <= last.status {
		return
	}
	n.list = append(n.list, note{r, status})
}

// At returns where to read from for a commit of that offset. It forgets what
// lower commits would need, so offsets must not fall.
func (n *Notes) At(committed int64) int64 {
	i := 0
	for i+1 < len(n.list) && n.list[i+1].request <= committed {
		i++
	}
	n.list = n.list[i:]
	return n.list[0].status
}
