package orders_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
)

// give applies an order for so long.
func give(tb testing.TB, b *orders.Board, o models.Order, length time.Duration) {
	tb.Helper()
	o.Until, o.Reason = time.Now().Add(length), "test"
	value, err := o.Encode()
	if err = errors.Join(err, b.Apply([]byte(o.Key()), value)); err != nil {
		tb.Fatal(err)
	}
}

// Without a board there is nothing to wait for, and no context of its own.
func TestNoBoard(t *testing.T) {
	t.Parallel()
	var b *orders.Board
	w := b.Watch(orders.Message{ID: "1"})
	defer w.End()
	free, cancel := w.Free(t.Context())
	cancel()
	if err := errors.Join(w.Standing(), w.Await(t.Context()), free.Err()); err != nil || free != t.Context() {
		t.Errorf("a message without a board: %v, %v", err, free)
	}
}

// Who waits for the end of a pause waits no longer than its context.
func TestAwaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, stop := orders.New(models.SMS, nil), errors.New("stop")
		give(t, b, models.Order{Action: models.ActionPause, Channel: models.SMS}, time.Hour)
		w := b.Watch(orders.Message{ID: "1"})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Minute, func() { cancel(stop) })
		if err := w.Await(ctx); !errors.Is(err, stop) {
			t.Errorf("Await = %v, want %v", err, stop)
		}
	})
}

// Orders, messages and waits may come from anywhere at once.
func TestBoardIsForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := orders.New(models.SMS, nil)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for range 20 {
					w := b.Watch(orders.Message{ID: strconv.Itoa(i % 7), Tenant: "a"})
					if err := w.Await(t.Context()); err == nil {
						ctx, cancel := w.Free(t.Context())
						_ = context.Cause(ctx)
						cancel()
					}
					w.End()
				}
			})
			wg.Go(func() {
				pause := models.Order{Action: models.ActionPause, Channel: models.SMS, Tenant: "a"}
				give(t, b, pause, time.Second)
				give(t, b, models.Order{Action: models.ActionCancel, MessageID: strconv.Itoa(i)}, time.Second)
				_ = b.Apply([]byte(pause.Key()), nil)
				b.InForce(10)
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if left := b.InForce(100); len(left) > 0 {
			t.Errorf("in force after their time: %v", left)
		}
	})
}

// BenchmarkChange is an order about ten thousand messages at work, given and
// lifted, beside as many cancels of single messages.
func BenchmarkChange(b *testing.B) {
	board := orders.New(models.SMS, nil)
	for i := range 10_000 {
		board.Watch(orders.Message{ID: strconv.Itoa(i), Tenant: "a"}).Free(b.Context())
		give(b, board, models.Order{Action: models.ActionCancel, MessageID: fmt.Sprint("another ", i)}, time.Hour)
	}
	pause := models.Order{Action: models.ActionPause, Channel: models.SMS, Tenant: "a"}
	for b.Loop() {
		give(b, board, pause, time.Hour)
		_ = board.Apply([]byte(pause.Key()), nil)
	}
}

// BenchmarkMessage is what a board costs a message without an order, beside ten
// thousand cancels of others.
func BenchmarkMessage(b *testing.B) {
	board := orders.New(models.SMS, nil)
	for i := range 10_000 {
		give(b, board, models.Order{Action: models.ActionCancel, MessageID: strconv.Itoa(i)}, time.Hour)
	}
	for b.Loop() {
		w := board.Watch(orders.Message{ID: "a message", Tenant: "a"})
		for range 3 {
			_, cancel := w.Free(b.Context())
			cancel()
		}
		w.End()
	}
}
