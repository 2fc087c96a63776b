package orders

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"messaging-worker/internal/models"
)

// Message is what an order's scope asks of a message.
type Message struct {
	ID       string
	Lane     models.Lane
	Tenant   string
	Provider string // that is to be called
	Meta     map[string]string
}

// ErrPaused says that no attempt of the message may start at present.
var ErrPaused = errors.New("paused by an operator")

// Canceled says that nobody is to be called for the message any more.
type Canceled struct{ Reason string }

// Error is what the message's final event says.
func (c *Canceled) Error() string { return "canceled: " + c.Reason }

// Watch is how one message at work stands. A nil Watch is that of a message
// nobody gives orders about.
type Watch struct {
	board    *Board
	message  Message
	standing atomic.Pointer[standing] // nil: nothing is ordered

	// The board's mu guards these.
	changed chan struct{} // closed with the next change; nil where nobody waits
	waits   map[*wait]struct{}
}

// standing is ErrPaused or a *Canceled.
type standing struct{ err error }

// wait is a context that ends with an order.
type wait struct {
	end      context.CancelCauseFunc
	canceled bool // and not with a pause
}

// Watch begins to watch a message at work, until End.
func (b *Board) Watch(m Message) *Watch {
	if b == nil {
		return nil
	}
	w := &Watch{board: b, message: m}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watches[m.ID] = append(b.watches[m.ID], w)
	w.set(b.orders.standing(&w.message))
	return w
}

// End ends the watch.
func (w *Watch) End() {
	if w == nil {
		return
	}
	b := w.board
	b.mu.Lock()
	defer b.mu.Unlock()
	left := slices.DeleteFunc(b.watches[w.message.ID], func(other *Watch) bool { return other == w })
	if len(left) == 0 {
		delete(b.watches, w.message.ID)
		return
	}
	b.watches[w.message.ID] = left
}

// Standing returns nil where nothing is ordered, ErrPaused, or a *Canceled.
func (w *Watch) Standing() error {
	if w == nil {
		return nil
	}
	if s := w.standing.Load(); s != nil {
		return s.err
	}
	return nil
}

// Await waits while the message is paused. Its error is a *Canceled, or the cause
// of ctx's end.
func (w *Watch) Await(ctx context.Context) error {
	for w.Standing() != nil {
		changed, err := w.look()
		if !errors.Is(err, ErrPaused) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// look returns how the message stands, and a channel that is closed when that
// changes.
func (w *Watch) look() (<-chan struct{}, error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return w.changed, w.Standing()
}

// Free returns a context that ends as soon as the message is paused or canceled:
// its cause is ErrPaused or a *Canceled then. Its owner calls cancel in the end.
func (w *Watch) Free(ctx context.Context) (free context.Context, cancel context.CancelFunc) {
	return w.context(ctx, false)
}

// Uncanceled is Free for who may wait while the message is paused.
func (w *Watch) Uncanceled(ctx context.Context) (uncanceled context.Context, cancel context.CancelFunc) {
	return w.context(ctx, true)
}

func (w *Watch) context(ctx context.Context, canceled bool) (context.Context, context.CancelFunc) {
	if w == nil {
		return ctx, func() {}
	}
	ctx, end := context.WithCancelCause(ctx)
	one := &wait{end, canceled}
	mu := &w.board.mu
	mu.Lock()
	defer mu.Unlock()
	if !one.meets(w.Standing()) {
		if w.waits == nil {
			w.waits = map[*wait]struct{}{}
		}
		w.waits[one] = struct{}{}
	}
	return ctx, func() {
		mu.Lock()
		delete(w.waits, one)
		mu.Unlock()
		end(nil)
	}
}

// meets ends the wait where what is ordered does so.
func (o *wait) meets(err error) bool {
	if err == nil || o.canceled && errors.Is(err, ErrPaused) {
		return false
	}
	o.end(err)
	return true
}

// set takes how the message stands now. It is called with the board's mu held.
func (w *Watch) set(err error) {
	if before := w.Standing(); before == nil && err == nil || errors.Is(before, ErrPaused) && errors.Is(err, ErrPaused) {
		return
	}
	w.standing.Store(nil)
	if err != nil {
		w.standing.Store(&standing{err})
	}
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
	for one := range w.waits {
		if one.meets(err) {
			delete(w.waits, one)
		}
	}
}
