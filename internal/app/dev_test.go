package app_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/app"
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
	err := app.Dev(ctx, app.DevOptions{Rate: 50, LogLevel: "error", Out: v, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	_, summary, ok := strings.Cut(v.text.String(), "channel  requests")
	if !ok || strings.Count(summary, "\n") != 4 {
		t.Errorf("no summary of three channels at the end of:\n%s", v.text.String())
	}
}

// The port is taken by whoever listens there; what is on it plays no part.
func TestDevSaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = app.Dev(t.Context(), app.DevOptions{
		Port: l.Addr().(*net.TCPAddr).Port, Rate: 1, LogLevel: "error", Out: io.Discard, Log: io.Discard,
	})
	if err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("Dev on a port that is taken: %v, want an error that names --port", err)
	}
}

// A stack that does not come up leaves nothing of the workers behind. No other
// test may run meanwhile: their clients would be taken for ours.
func TestDevClosesWorkersThatNeverRan(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop() // the workers are built without Kafka, the traffic asks it
	err := app.Dev(ctx, app.DevOptions{Rate: 1, LogLevel: "error", Out: io.Discard, Log: io.Discard})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Dev: %v, want it cancelled", err)
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
