package consumer

import "context"

// state is how far the life of an assignment has come. It goes forward only:
//
//	recovering ─► reading ─► stopping ─► closed
//
//	reading   once it is known what earlier owners did (fetched, recovered)
//	stopping  when the partition is revoked or the worker stops (halt); also
//	          from recovering
//	closed    when another member or a new assignment owns the partition
//	          (forget); from any state where the partition is lost
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

// advance moves to a later state: stopping or closed.
func (a *assignment) advance(to state) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state.advance(to)
}

// isStopping reports whether nothing more is admitted.
func (a *assignment) isStopping() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.state >= stopping
}

// halt admits nothing more and ends the waits of what was admitted.
func (a *assignment) halt(cause error) {
	a.advance(stopping)
	a.life.Stop(cause)
	a.tasks.Release()
}

// abandon halts, and cuts the calls under way, unless no other worker reads
// their records: then they may end, whoever owns the partition by then.
func (a *assignment) abandon(cause error) {
	if !a.policy.outlives() {
		a.life.Cut(cause)
	}
	a.halt(cause)
}

// drain halts the assignments, waits until their handlers have returned, and
// abandons what is left when ctx ends. It reports whether all returned in
// time. It does not wait longer than ctx for handlers that outlive their
// partition.
func drain(ctx context.Context, assignments []*assignment, cause error) bool {
	for _, a := range assignments {
		a.halt(cause)
	}
	returned := func() {
		for _, a := range assignments {
			a.handlers.Wait()
		}
	}
	if endsWithin(ctx, returned) {
		return true
	}
	for _, a := range assignments {
		a.abandon(cause)
	}
	for _, a := range assignments {
		if !a.policy.outlives() {
			a.handlers.Wait()
		}
	}
	return false
}

// endsWithin reports whether wait returns before ctx ends.
func endsWithin(ctx context.Context, wait func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
