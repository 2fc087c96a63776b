package models

// Lane is which of a channel's request topics a request came by: the more urgent
// ones are served first.
type Lane string

// The lanes. A channel has at least LaneNormal.
const (
	LaneHigh   Lane = "high"
	LaneNormal Lane = "normal"
	LaneBulk   Lane = "bulk"
)

// Lanes returns all of them, the most urgent first.
func Lanes() [3]Lane { return [...]Lane{LaneHigh, LaneNormal, LaneBulk} }

// Rank is the lane's index in Lanes. What is no lane ranks as LaneNormal.
func (l Lane) Rank() int {
	switch l {
	case LaneHigh:
		return 0
	case LaneBulk:
		return 2
	case LaneNormal:
	}
	return 1
}
