package dev_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/dev"
	"messaging-worker/internal/ops/control"
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

// The messages of the paused tenant wait while others go out, and go out once the
// order is lifted, as msgctl resume does it.
func TestDevPausesATenant(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	in, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- dev.Run(ctx, dev.Options{Rate: 100, Out: out, Log: zerolog.Nop()})
		out.Close()
	}()
	broker, others, lifted, sent := "", 0, false, false
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := strings.Fields(lines.Text())
		switch {
		case strings.HasPrefix(lines.Text(), "Embedded broker on "):
			broker = strings.TrimSuffix(line[3], ";")
		case len(line) < 6 || line[1] != "sms" || line[5] != "sent" && line[5] != "attempt":
		case line[4] == "paused" && !lifted:
			t.Errorf("a message of the paused tenant goes out: %s", lines.Text())
		case line[4] == "paused" && line[5] == "sent":
			sent = true
			stop()
		case line[5] == "sent" && !lifted:
			if others++; others == 5 {
				lift(t, broker)
				lifted = true
			}
		}
	}
	if err := <-done; err != nil || !sent {
		t.Errorf("Run: %v; the paused tenant's messages were sent: %v", err, sent)
	}
}

// lift lifts the one order that is in force.
func lift(t *testing.T, broker string) {
	t.Helper()
	topic, err := control.Open(t.Context(), &config.Config{Kafka: config.Kafka{Brokers: []string{broker}, ControlTopic: "messages.control"}})
	if err != nil {
		t.Fatal(err)
	}
	defer topic.Close()
	log, err := topic.Read(t.Context())
	if err != nil || len(log.InForce()) != 1 {
		t.Fatalf("orders in force: %v, %v, want one", log, err)
	}
	if err := topic.Lift(t.Context(), log.InForce(), "test", ""); err != nil {
		t.Fatal(err)
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
