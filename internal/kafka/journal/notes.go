package journal

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
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
