package msgctl_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"messaging-worker/test/stage"
)

// interruptAt runs a command and presses Ctrl-C once ready says so of what it
// has printed on standard output. A nil ready needs no word of it: then the
// command is interrupted when when returns.
func interruptAt(t *testing.T, cmd *exec.Cmd, ready func(out string) bool, when func()) result {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr, cmd.Dir = &complaints, t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	giveUp := time.AfterFunc(stage.Patience, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	var text bytes.Buffer
	if ready == nil {
		when()
	}
	for chunk := make([]byte, 4096); ready != nil && !ready(text.String()); {
		n, err := out.Read(chunk)
		if text.Write(chunk[:n]); err != nil {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatalf("it ended before Ctrl-C: %v\n%s%s", err, text.String(), complaints.String())
	}
	_, _ = io.Copy(&text, out)
	_ = cmd.Wait() // its code is in ProcessState
	return result{cmd.Args[1:], text.String(), complaints.String(), cmd.ProcessState.ExitCode()}
}

// printed is what interruptAt waits for: that a text was printed.
func printed(text string) func(string) bool {
	return func(out string) bool { return strings.Contains(out, text) }
}
