// Package lifetime ends work in two steps: first the waits, then the calls
// that are under way.
package lifetime

import (
	"context"
	"time"
)

// Lifetime is how long a piece of work may go on. Stop ends its waits: nothing
// new is started, and calls under way may come to their end. Cut ends those
// too. It is safe for concurrent use, and many may share one.
type Lifetime struct {
	waiting, calls context.Context //nolint:containedctx // a Lifetime is a pair of them
	stop, cut      context.CancelCauseFunc
}

// New returns a lifetime that is cut when ctx ends, with the same cause. Its
// owner calls Cut in the end.
func New(ctx context.Context) *Lifetime {
	l := &Lifetime{}
	l.calls, l.cut = context.WithCancelCause(ctx)
	// Derived from calls, so that it never ends before them at a cut: whoever
	// sees Waiting end asks Calls whether it was a Stop.
	l.waiting, l.stop = context.WithCancelCause(l.calls)
	return l
}

// Child returns a lifetime that is stopped when l is, and cut when l is, if
// not sooner. Its owner calls Cut in the end.
func (l *Lifetime) Child() *Lifetime {
	child := New(l.calls)
	detach := context.AfterFunc(l.waiting, func() {
		if l.calls.Err() == nil { // else it is a cut, which is on its way to child.calls
			child.Stop(context.Cause(l.waiting))
		}
	})
	context.AfterFunc(child.calls, func() { detach() })
	return child
}

// Waiting is the context of waits: it ends at Stop, or at Cut.
func (l *Lifetime) Waiting() context.Context { return l.waiting }

// Calls is the context of calls that are not to be started again: it ends at
// Cut.
func (l *Lifetime) Calls() context.Context { return l.calls }

// Stop ends Waiting. Only the first cause counts; nil means context.Canceled.
func (l *Lifetime) Stop(cause error) { l.stop(cause) }

// Cut ends Calls, and Waiting where Stop has not. Only the first cause counts;
// nil means context.Canceled.
func (l *Lifetime) Cut(cause error) { l.cut(cause) }

// With returns l with both contexts changed by derive, which may add values.
func (l *Lifetime) With(derive func(context.Context) context.Context) *Lifetime {
	return &Lifetime{waiting: derive(l.waiting), calls: derive(l.calls), stop: l.stop, cut: l.cut}
}

// Sleep waits for d, or returns the cause of ctx's end. A ctx that has ended wins
// over a wait of nothing.
func Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
