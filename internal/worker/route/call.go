package route

import (
	"context"
	"time"

	"messaging-worker/internal/adapters/common"
)

// Start waits until a call of a may start: an admitted one, or where there is
// none left one that Admit is asked for. The record is ours for certain then,
// the route not paused, and slot and tokens are the call's. End follows. After
// an error, which is the cause of ctx's end, an admitted call still is.
func (r *Route) Start(ctx context.Context, a *Attempt, recipients []int) (Call, error) {
	for !r.reserve(a) {
		if err := r.Admit(ctx, a, 1, recipients); err != nil {
			return Call{}, err
		}
	}
	c, err := r.slot(ctx, a)
	c.recipients = recipients
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		a.admitted++
	}
	return c, err
}

// reserve takes an admitted call of a for one Start, and returns false where
// there is none left.
func (r *Route) reserve(a *Attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.admitted == 0 {
		return false
	}
	a.admitted--
	return true
}

// slot waits for all that an admitted call of a needs to start.
func (r *Route) slot(ctx context.Context, a *Attempt) (Call, error) {
	var w *waiter
	for {
		if ctx.Err() != nil {
			return Call{}, context.Cause(ctx)
		}
		if err := a.Lease.Await(ctx); err != nil {
			return Call{}, err //nolint:wrapcheck // the cause of ctx's end
		}
		var c Call
		if c, w = r.askToStart(a, w); w == nil {
			return c, nil
		}
		if _, err := r.wait(ctx, w); err != nil {
			return Call{}, err
		}
		if r.confirm(w, r.certain(a.Lease)) {
			c = w.call
			r.waiters.Put(w)
			return c, nil
		}
	}
}

// askToStart starts a call of a at once, or returns who waits for that: w, which
// has done so before, or a new one.
func (r *Route) askToStart(a *Attempt, w *waiter) (Call, *waiter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if w == nil {
		if r.opened == nil && r.starts.empty() && r.mayStart(now, a.rank()) {
			c := r.start(now, a)
			r.grant(now)
			return c, nil
		}
		w = r.newWaiter(a, 0)
	}
	r.starts[a.rank()].join(w)
	r.grant(now)
	return Call{}, w
}

// confirm reports whether the call that w was granted may still be made, now
// that w has woken. If not it gives slot and tokens back: they are of their
// moment, and all who were kept waiting with a token would start together.
func (r *Route) confirm(w *waiter, certain bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if certain && r.opened == nil {
		return true
	}
	now := time.Now()
	r.undo(now, w.call)
	r.grant(now)
	return false
}

// undo gives slot and tokens of a call back, which is ahead again.
func (r *Route) undo(now time.Time, c Call) {
	r.untake(c)
	r.provider.give(now, 1)
	r.group.give(now, 1)
}

// Outcome is how a call ended. The zero Outcome is that of a call whose
// recipients were all accepted.
type Outcome struct {
	Failure *common.Failure
	Cut     bool // we have cut it: that says nothing of the provider

	Critical bool // the failure leaves its message one attempt
	Last     bool // the call belongs to its message's last attempt
	LetIn    int  // of the last Verdict that postponed its message; 0 for none
}

// End gives the slot of a call back, and says what becomes of a refusal. A call
// whose failure is NotCalled is admitted again.
func (r *Route) End(c Call, o Outcome) Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !o.Cut && o.Failure != nil && o.Failure.NotCalled {
		r.undo(now, c)
		c.attempt.admitted++
		r.grant(now)
		return Verdict{}
	}
	r.ended(now, c)
	var v Verdict
	if !o.Cut {
		r.applyThrottle(now, c, o.Failure)
		v = r.breaker.end(c, o)
	}
	r.grant(now)
	return v
}

// applyThrottle has all calls wait where the provider finds us too fast, or
// those of the sender or the pair that it means: they would be answered like
// this one.
func (r *Route) applyThrottle(now time.Time, c Call, f *common.Failure) {
	if f == nil || !f.Throttle {
		r.ease(c)
	}
	switch {
	case f == nil:
		r.throttle.accepted(now)
		r.throttles.accepted(now, c.attempt.Delivery, c.recipients)
	case f.Throttle:
		r.pause(now, r.throttle.extend(now, f.RetryAfter))
	case f.ThrottleScope != common.ScopeNone:
		r.throttled(now, c.attempt.Delivery, c.recipients, f)
	}
}
