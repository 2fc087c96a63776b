package models

import "time"

// Progress is how far a request got under earlier owners of its partition, as
// the status topic tells. The zero Progress is a new request.
type Progress struct {
	Queued   bool // its queued event is there
	Attempts int  // attempts that count as spent

	// UnderWay says that the last attempt has no outcome: its calls may have
	// been accepted.
	UnderWay bool

	// What the newest retry event says. Reached is false while there is none;
	// then all recipients are open.
	Reached    bool
	Open       []int // recipients still to be reached
	Refused    []int // refused for good
	Assumed    []int // accepted, though the answer could not be read
	NextAt     time.Time
	FirstError time.Time // of the oldest retry event
}
