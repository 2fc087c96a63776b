package producer

import (
	"context"
	"sync"
)

// Ack is the promise of an acknowledgement. Any number may wait for it.
type Ack struct {
	mu        sync.Mutex
	completed bool
	err       error
	done      chan struct{} // made by the first who has to wait: many never do
}

func (a *Ack) answer(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.completed, a.err = true, err
	if a.done != nil {
		close(a.done)
	}
}

// Wait returns nil once all in-sync replicas have the record, ErrTooLarge or
// ErrClosed, or the cause of ctx's end; the record is then still on its way.
func (a *Ack) Wait(ctx context.Context) error {
	a.mu.Lock()
	if a.completed {
		a.mu.Unlock()
		return a.err
	}
	if a.done == nil {
		a.done = make(chan struct{})
	}
	done := a.done
	a.mu.Unlock()
	select {
	case <-done:
		return a.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
