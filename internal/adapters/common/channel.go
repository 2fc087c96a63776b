package common

// Call is one provider call that the engine asks an adapter to make.
//
// Recipients are numbered from 0 in the order to, cc, bcc as the request gives
// them. A repeated address keeps its numbers but is reached only by its first.
type Call struct {
	Attempt    int   // from 1
	Recipients []int // the recipients to reach, ascending, never empty
}
