package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"msgctl": main}) }

// The scripts run msgctl as a person does.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}

// What cannot be obeyed is a wrong command line, exit code 2, in every command.
func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"explain aws 1", "explain smtp hello", "explain http 99", "dev --rate 0", "dev --messages -1", "dev --log-level loud",
		"dev --port 70000", "fake-provider twilio --every 0", "fake-provider twilio --fault wrong", "produce --rate 0", "produce --rate NaN", "dev --rate NaN", "load --keys x",
		"load --lane x --brokers a:1", "produce --lane urgent --dry-run", "produce --lane high --topic t --brokers a:1",
		"send sms --lane x --from a --to b --body c --brokers a:1", "dlq list --lane x --brokers a:1", "dlq stats --lane x --brokers a:1",
		"dlq replay --channel sms --lane x --brokers a:1", "dlq replay --channel sms --to-lane x --brokers a:1",
	} {
		cmd := root()
		cmd.SetArgs(strings.Fields(args))
		if code := exitCode(cmd.ExecuteContext(t.Context()), false); code != exitUsage {
			t.Errorf("msgctl %s exits %d, want %d", args, code, exitUsage)
		}
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
	cmd := root()
	cmd.SetArgs([]string{"dev", "--port", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(inWords(err), "--port") {
		t.Errorf("dev on a port that is taken: %v, want an error that names --port", err)
	}
}

// Ctrl-C ends a command that waits for somebody to type.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	silent, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r := interruptible(ctx, silent)
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("reading ends with %v, want that of the command", err)
	}
}
