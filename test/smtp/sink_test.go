package smtp_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
)

// startSink runs Postfix's smtp-sink with options that make it fail.
//
// It binds its port only after it was chosen, so that another may be faster:
// then it ends, and the next try has another port. Until it has ended, who
// dials would reach that other one. Linux has enough loopback addresses for
// one of its own.
func startSink(t *testing.T, options ...string) (host string, port int) {
	t.Helper()
	host = "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	}
	for range tries {
		port = freePort(t)
		if addr := fmt.Sprint(host, ":", port); listens(t, sinkAt(t, addr, options...), addr) {
			return host, port
		}
	}
	t.Fatalf("smtp-sink ended at its start, %d times", tries)
	return "", 0
}

// sinkAt is smtp-sink on an address.
func sinkAt(t *testing.T, addr string, options ...string) *exec.Cmd {
	t.Helper()
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		t.Skip("smtp-sink is not installed (package postfix): its faults are not tried")
	}
	if os.Geteuid() == 0 {
		options = append(options, "-u", "nobody")
	}
	return exec.Command(sink, append(options, "-4", addr, "10")...)
}

// tries are the ports that a server is offered.
const tries = 5

// listens starts a server and waits until it takes connections. It returns
// false where it ended instead. The server ends with the test.
func listens(t *testing.T, cmd *exec.Cmd, addr string) bool {
	t.Helper()
	said := &bytes.Buffer{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // what it said tells more
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	})
	for end := time.Now().Add(patience); ; {
		select {
		case <-ended:
			t.Logf("%s: %s", cmd, said)
			return false
		case <-time.After(5 * time.Millisecond):
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return true
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen", cmd)
		}
	}
}

// A port that another took meanwhile is seen by the server's end.
func TestSinkOnTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const nobodys = "127.0.0.1:1" // where nobody answers
	if listens(t, sinkAt(t, taken.Addr().String()), nobodys) {
		t.Error("smtp-sink listens on a port that is taken")
	}
}

// TestFaultsOfSmtpSink is a server that nobody here wrote, at its worst.
func TestFaultsOfSmtpSink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options string
		want    string // error, and marks
	}{
		{"none", "", "ok"},
		{"no pipelining", "-p", "ok"},
		{"no EHLO", "-e", "ok"},
		{"hangs up at CONNECT", "-q connect", "transient error: connection lost, unreachable"},
		{"hangs up at EHLO", "-q ehlo", "transient error: connection lost, unreachable"},
		{"hangs up at MAIL", "-q mail", "transient error: connection lost, unreachable"},
		{"hangs up at RCPT", "-q rcpt", "transient error: connection lost, unreachable"},
		{"hangs up at DATA", "-q data", "transient error: connection lost, unreachable"},
		{"hangs up behind the message", "-q .", "transient error: connection lost (may have been accepted), unreachable, ambiguous"},
		{"hangs up at QUIT", "-q quit", "ok"},
		{"closes at MAIL", "-Q mail", "transient error: smtp 421, unreachable"},
		{"closes at RCPT", "-Q rcpt", "transient error: smtp 421, unreachable"},
		{"closes behind the message", "-Q .", "transient error: smtp 421, unreachable"},
		{"later at CONNECT", "-r connect", "transient error: smtp 450, unreachable"},
		{"later at MAIL", "-r mail", "transient error: smtp 450"},
		{"later at RCPT", "-r rcpt", "transient error: smtp 450"},
		{"later at DATA", "-r data", "transient error: smtp 450"},
		{"later behind the message", "-r .", "transient error: smtp 450"},
		// It says 500 5.3.0: a fault of the mail system, at whatever stage.
		{"never at CONNECT", "-f connect", "transient error: smtp 500, unreachable"},
		{"never at MAIL", "-f mail", "transient error: smtp 500, unreachable"},
		{"never at RCPT", "-f rcpt", "transient error: smtp 500, unreachable"},
		{"never at DATA", "-f data", "transient error: smtp 500, unreachable"},
		{"never behind the message", "-f .", "transient error: smtp 500, unreachable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options("")
			o.Host, o.Port = startSink(t, strings.Fields(tt.options)...)
			p := newProvider(t, o)
			defer p.Close()
			_, err := email.New(p, request.Limits{}, o.Timeout).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
			if got := brieflyOf(err); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// brieflyOf is an outcome without the server's words.
func brieflyOf(err error) string {
	f := common.Classify(err)
	if f == nil {
		return "ok"
	}
	text := f.Error()
	if head, rest, ok := strings.Cut(text, ": smtp "); ok {
		code, _, _ := strings.Cut(rest, " ")
		text = head + ": smtp " + code
	}
	if f.Unreachable {
		text += ", unreachable"
	}
	if f.Ambiguous {
		text += ", ambiguous"
	}
	return text
}
