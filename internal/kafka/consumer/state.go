package consumer

// state is how far the life of an assignment has come. It goes forward only:
//
//	recovering ─► reading ─► stopping ─► closed
//
//	reading   once it is known what earlier owners did (fetched, recovered)
//	stopping  when the partition is revoked or the worker stops (refuse, halt);
//	          also from recovering
//	closed    when another member or a new assignment owns the partition
//	          (close); from any state where the partition is lost
type state int

const (
	// recovering: it is not known yet what earlier owners committed and did.
	recovering state = iota

	// reading: records are admitted, and what is finished is committed.
	reading

	// stopping: nothing more is admitted. Handlers come to their end, and
	// what they finish is committed.
	stopping

	// closed: nothing more is committed. Completions change nothing any more,
	// because a later assignment of the partition has a tracker of its own.
	closed
)

// advance moves to a later state. A step back changes nothing: the journal may
// be read when the assignment has ended already.
func (s *state) advance(to state) { *s = max(*s, to) }
