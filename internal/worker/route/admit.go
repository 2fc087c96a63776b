package route

import (
	"context"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// Lease is the right to handle the record of a message. It is safe for
// concurrent use.
type Lease interface {
	// Await returns nil while the record's partition is known to be assigned
	// to this process, and waits where that is in doubt: a call that starts
	// then might be made by two workers. Its error is the cause of ctx's end.
	Await(ctx context.Context) error

	// Yield runs a wait of the message during which nothing else is done for
	// it, so that others can be worked on. It returns what wait does.
	Yield(wait func() error) error
}

// Attempt is a round of provider calls of one message. What is exported is set
// before Admit, and does not change while the attempt is at work.
type Attempt struct {
	Lease    Lease
	Delivery *common.Delivery
	Lane     models.Lane // empty for normal

	// Refused says that the message's last call was refused as ours, which may
	// have paused the route: others go first when it opens.
	Refused bool

	admitted int     // calls that were admitted and not started
	sender   *sender // nil: no rate
}

// rank is that of the attempt's lane.
func (a *Attempt) rank() int { return a.Lane.Rank() }

// othersFirst is how long a message that was refused and kept lets others go
// first when the route opens. Were it called first each time, its refusal would
// pause the route again, and nobody else would ever be called.
const othersFirst = 100 * time.Millisecond

// Admit waits until an attempt with that many calls to those recipients may be
// published: the record is ours for certain, the rate of the sender lets it,
// the provider finds us too fast for none of them, it is not paused, and so
// many calls may be ahead. Each call is then started, or given up by Withdraw.
// Where senders have a rate, one call is admitted, and the others when they are
// started. The error is the cause of ctx's end.
func (r *Route) Admit(ctx context.Context, a *Attempt, calls int, recipients []int) error {
	if r.senderRate > 0 {
		calls = 1
	}
	var w *waiter
	for {
		if err := r.mayAsk(ctx, a, recipients); err != nil {
			return err
		}
		if w = r.askToAdmit(a, calls, w); w == nil {
			return nil
		}
		if err := r.waitToAdmit(ctx, a, w); err != nil {
			return err
		}
		// What held when it began to wait may not hold any more.
		if r.throttledUntil(a, recipients).IsZero() && r.certain(a.Lease) {
			r.waiters.Put(w)
			return nil
		}
		r.Withdraw(a, calls)
	}
}

// Withdraw gives up so many admitted calls of a, or as many as there are.
func (r *Route) Withdraw(a *Attempt, calls int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	calls = min(calls, a.admitted)
	a.admitted -= calls
	r.ahead[a.rank()] -= calls
	if a.sender != nil {
		a.sender.give(now, calls)
		r.nextOf(now, a.sender)
	}
	r.grant(now)
}

// mayAsk waits for what does not depend on other attempts.
func (r *Route) mayAsk(ctx context.Context, a *Attempt, recipients []int) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if a.Refused {
		if err := r.letOthersGo(ctx, a.Lease); err != nil {
			return err
		}
	}
	for {
		if err := a.Lease.Await(ctx); err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
		until := r.throttledUntil(a, recipients)
		if until.IsZero() {
			return nil
		}
		if err := a.Lease.Yield(func() error { return lifetime.Sleep(ctx, time.Until(until)) }); err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
	}
}

// letOthersGo waits while the route is paused, and othersFirst more.
func (r *Route) letOthersGo(ctx context.Context, l Lease) error {
	for {
		r.mu.Lock()
		opened := r.opened
		r.mu.Unlock()
		if opened == nil {
			return nil
		}
		err := l.Yield(func() error {
			select {
			case <-opened:
				return lifetime.Sleep(ctx, othersFirst)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
	}
}

// askToAdmit returns nil where the calls may be ahead at once, and else who
// waits for that: w, which has done so before, or a new one.
func (r *Route) askToAdmit(a *Attempt, calls int, w *waiter) *waiter {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	s := r.senderOf(now, a.Delivery)
	a.sender = s
	if w == nil {
		if s.mayGo(now) && r.opened == nil && r.admits[a.rank()].head() == nil && r.mayAdmit(now, a, calls) {
			r.admitted(now, a, calls)
			return nil
		}
		w = r.newWaiter(a, calls)
	}
	switch {
	case s == nil:
		r.joinAdmits(w)
	case s.mayGo(now):
		s.first = w
		r.joinAdmits(w)
	default:
		s.join(w)
		if s.outranked() {
			s.giveWay()
		}
		r.nextOf(now, s)
	}
	r.grant(now)
	return w
}

// joinAdmits has w wait to be admitted.
func (r *Route) joinAdmits(w *waiter) {
	r.admits[w.attempt.rank()].join(w)
	if r.opened != nil {
		w.yield()
	}
}

// waitToAdmit waits until w is granted: aside once it is to yield, which it may
// be told again by a further pause.
func (r *Route) waitToAdmit(ctx context.Context, a *Attempt, w *waiter) error {
	granted, err := r.wait(ctx, w)
	for !granted && err == nil {
		err = a.Lease.Yield(func() (err error) {
			granted, err = r.wait(ctx, w)
			return err
		})
	}
	return err //nolint:wrapcheck // the cause of ctx's end
}

// certain reports whether the record is known to be ours now.
func (r *Route) certain(l Lease) bool { return l.Await(r.over) == nil }
