package lifetime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/lifetime"
)

var (
	errStop  = errors.New("stop")
	errCut   = errors.New("cut")
	errLater = errors.New("later")
)

func TestEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		do             func(parent, l *lifetime.Lifetime, end context.CancelCauseFunc)
		waiting, calls error // causes of the ends
	}{
		{"lives", func(_, _ *lifetime.Lifetime, _ context.CancelCauseFunc) {}, nil, nil},
		{"stopped", func(_, l *lifetime.Lifetime, _ context.CancelCauseFunc) { l.Stop(errStop); l.Stop(errLater) }, errStop, nil},
		{"cut", func(_, l *lifetime.Lifetime, _ context.CancelCauseFunc) { l.Cut(errCut); l.Stop(errLater) }, errCut, errCut},
		{"stopped and cut", func(_, l *lifetime.Lifetime, _ context.CancelCauseFunc) { l.Stop(errStop); l.Cut(errCut) }, errStop, errCut},
		{"no cause", func(_, l *lifetime.Lifetime, _ context.CancelCauseFunc) { l.Cut(nil) }, context.Canceled, context.Canceled},
		{"parent stopped", func(p, _ *lifetime.Lifetime, _ context.CancelCauseFunc) { p.Stop(errStop) }, errStop, nil},
		{"parent cut", func(p, _ *lifetime.Lifetime, _ context.CancelCauseFunc) { p.Cut(errCut) }, errCut, errCut},
		{"stopped, then parent cut", func(p, l *lifetime.Lifetime, _ context.CancelCauseFunc) { l.Stop(errStop); p.Cut(errCut) }, errStop, errCut},
		{"context ends", func(_, _ *lifetime.Lifetime, end context.CancelCauseFunc) { end(errCut) }, errCut, errCut},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancelCause(t.Context())
				defer end(nil)
				parent := lifetime.New(ctx)
				child := parent.Child()
				tt.do(parent, child, end)
				synctest.Wait()
				if got := context.Cause(child.Waiting()); !errors.Is(got, tt.waiting) {
					t.Errorf("Waiting ended for %v, want %v", got, tt.waiting)
				}
				if got := context.Cause(child.Calls()); !errors.Is(got, tt.calls) {
					t.Errorf("Calls ended for %v, want %v", got, tt.calls)
				}
			})
		})
	}
}

// Whoever sees Waiting end at a cut sees that Calls has ended too.
func TestCallsEndBeforeWaiting(t *testing.T) {
	t.Parallel()
	for range 1000 {
		parent := lifetime.New(t.Context())
		child := parent.Child()
		go parent.Cut(errCut)
		<-child.Waiting().Done()
		if child.Calls().Err() == nil {
			t.Fatal("Waiting has ended and Calls has not: a cut is taken for a stop")
		}
	}
}

// A child's end is no end of its parent.
func TestChildEndsAlone(t *testing.T) {
	t.Parallel()
	parent := lifetime.New(t.Context())
	parent.Child().Cut(errCut)
	if parent.Waiting().Err() != nil || parent.Calls().Err() != nil {
		t.Error("the parent ended with its child")
	}
}

// A call that is under way at Stop goes on until Cut, and a wait does not.
func TestStopLetsCallsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := lifetime.New(t.Context())
		begun := time.Now()
		time.AfterFunc(time.Second, func() { l.Stop(errStop) })
		time.AfterFunc(time.Minute, func() { l.Cut(errCut) })
		<-l.Waiting().Done()
		if d := time.Since(begun); d != time.Second || l.Calls().Err() != nil {
			t.Errorf("the wait ended after %v with calls %v, want 1s and calls under way", d, l.Calls().Err())
		}
		<-l.Calls().Done()
		if d := time.Since(begun); d != time.Minute {
			t.Errorf("calls were cut after %v, want 1m", d)
		}
	})
}

type key struct{}

// Values are in both contexts, and the ends are those of the original.
func TestWith(t *testing.T) {
	t.Parallel()
	l := lifetime.New(t.Context())
	valued := l.With(func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, 1) })
	l.Stop(errStop)
	for name, ctx := range map[string]context.Context{"Waiting": valued.Waiting(), "Calls": valued.Calls()} {
		if ctx.Value(key{}) != 1 {
			t.Errorf("%s has no value", name)
		}
	}
	if !errors.Is(context.Cause(valued.Waiting()), errStop) || valued.Calls().Err() != nil {
		t.Errorf("ends of the original: %v, %v", valued.Waiting().Err(), valued.Calls().Err())
	}
	valued.Cut(errCut)
	if l.Calls().Err() == nil {
		t.Error("a Cut of the copy is none of the original")
	}
}
