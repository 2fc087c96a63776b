// Package message is the state of one message, as pure data: how far it got.
package message

import "time"

// Progress is how far a request got under earlier owners of its partition, as
// the status topic tells. The zero Progress is a new request.
type Progress struct {
	Queued   bool // its queued event is there
	Attempts int  // attempts that count as spent

	// Withdrawn is how often attempt Attempts+1 was published and taken back
	// without a call.
	Withdrawn int

	// UnderWay says that the last attempt has no outcome: its calls may have
	// been accepted.
	UnderWay bool

	// What the newest retry event says. Reached is false while there is none;
	// then all recipients are open.
	Reached       bool
	Open          []int     // recipients still to be reached
	Refused       []int     // refused for good
	Indeterminate []int     // accepted, though the answer could not be read
	RefusedFor    string    // what the first of the refused was told; empty where no event says
	RefusedBy     int       // the HTTP or SMTP status code of that; 0 for none
	NextAt        time.Time // no call before; retries that took an attempt back count too
	FirstError    time.Time // of the oldest retry event
	LastEvent     time.Time // of the newest attempt or retry event

	// Resolved is what was known beyond the events: of calls that had ended
	// while others of their round were under way.
	Resolved Resolved
}

// Resolved lists recipients that need no call any more, by their numbers. What
// is settled stays settled, whatever attempt it was in.
type Resolved struct {
	Accepted      []int
	Refused       []int // for good
	Indeterminate []int // accepted, though the answer could not be read
}

// Empty reports whether nobody is settled.
func (s Resolved) Empty() bool { return len(s.Accepted)+len(s.Refused)+len(s.Indeterminate) == 0 }
