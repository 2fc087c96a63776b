package worker

import (
	"context"
	"errors"

	"messaging-worker/internal/lifetime"
)

// Where the lease is AtMostOnce, a stop has two meanings. A record whose offset
// is not committed is left to the next owner. One whose offset is committed is
// read by nobody again: it gets its final event here, if need be without a call.

// passed reports, once ctx has ended, whether nobody will read the record
// again.
func passed(ctx context.Context, lease Lease) bool {
	return lease.AtMostOnce() && lease.CommitBeforeCall(ctx) == nil
}

// enter is admit. On a stop, a message that nobody would read again gets the
// grace on top.
func (e *Engine) enter(life *lifetime.Lifetime, m *job, units [][]int) error {
	err := e.admit(life.Waiting(), m, units)
	if err == nil || errors.Is(err, errExpired) {
		return err
	}
	if m.committed = m.committed || passed(life.Waiting(), m.lease); !m.committed {
		return err
	}
	return withGrace(life.Waiting(), life.Calls(), func(ctx context.Context) error { return e.admit(ctx, m, units) })
}
