package dev_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/dev"
)

// view is an output that ends the show when it has shown enough.
type view struct {
	mu   sync.Mutex
	text strings.Builder
	stop context.CancelFunc
}

func (v *view) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text.Write(b)
	if strings.Contains(v.text.String(), "sent") {
		v.stop()
	}
	return len(b), nil
}

// Ctrl-C in the middle of endless traffic ends with the summary and without an
// error.
func TestDevEndsOnCtrlC(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	v := &view{stop: stop}
	err := dev.Run(ctx, dev.Options{Rate: 50, Out: v, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	_, summary, ok := strings.Cut(v.text.String(), "channel    lane  requests")
	if !ok || strings.Count(summary, "\n") != 10 {
		t.Errorf("no summary of three channels with three lanes each at the end of:\n%s", v.text.String())
	}
}

// A stack that does not come up leaves no client of Kafka behind. No other
// test may run meanwhile: their clients would be taken for ours.
func TestDevClosesWhatNeverRan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop() // the traffic asks Kafka
	err := dev.Run(ctx, dev.Options{Rate: 1, Out: io.Discard, Log: zerolog.Nop()})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Run: %v, want it cancelled", err)
	}
	stacks := make([]byte, 1<<20)
	for end := time.Now().Add(10 * time.Second); ; <-time.After(10 * time.Millisecond) {
		all := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(all, "/kgo.(*Client)") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("Kafka clients are left:\n%s", all)
		}
	}
}
