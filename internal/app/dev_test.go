package app_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

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

func TestDevSaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	v := &view{stop: stop}
	done := make(chan error, 1)
	const port = 29291
	first := &portWatcher{view: v, up: make(chan struct{})}
	go func() {
		done <- app.Dev(ctx, app.DevOptions{Port: port, Rate: 1, LogLevel: "error", Out: first, Log: io.Discard})
	}()
	<-first.up
	err := app.Dev(t.Context(), app.DevOptions{Port: port, Rate: 1, LogLevel: "error", Out: io.Discard, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a second stack on the same port: %v, want an error that names --port", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// portWatcher closes up at the first output.
type portWatcher struct {
	*view

	once sync.Once
	up   chan struct{}
}

func (p *portWatcher) Write(b []byte) (int, error) {
	p.once.Do(func() { close(p.up) })
	return p.view.Write(b)
}
