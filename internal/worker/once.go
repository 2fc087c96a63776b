package worker

import (
	"context"
	"errors"

	"messaging-worker/internal/lifetime"
)

// Where the lease is AtMostOnce, the end of ctx has two meanings. A record
// that no commit has passed is left to whoever reads it next. A record that
// one has passed is read by nobody again: it comes to its end here, whatever
// the stop keeps from being done.

// passed reports, once ctx has ended, whether nobody will read the record
// again.
func passed(ctx context.Context, lease Lease) bool {
	return lease.AtMostOnce() && lease.CommitBeforeCall(ctx) == nil
}

// enter is admit. When ctx ends, a message that nobody would read again has a
// grace more.
func (e *Engine) enter(life *lifetime.Lifetime, m *job, units [][]int) error {
	err := e.admit(life.Waiting(), m, units)
	if err == nil || errors.Is(err, errExpired) {
		return err
	}
	if m.committed = m.committed || passed(life.Waiting(), m.lease); !m.committed {
		return err
	}
	last, cancel := context.WithTimeoutCause(life.Calls(), grace, context.Cause(life.Waiting()))
	defer cancel()
	return e.admit(last, m, units)
}
