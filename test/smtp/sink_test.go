package smtp_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/providers/email/smtp"
)

// startSink runs Postfix's smtp-sink with options that make it fail.
func startSink(t *testing.T, options ...string) (port int) {
	t.Helper()
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		t.Skip("smtp-sink is not installed (package postfix): its faults are not tried")
	}
	port = freePort(t)
	if os.Geteuid() == 0 {
		options = append(options, "-u", "nobody")
	}
	cmd := exec.Command(sink, append(options, "-4", fmt.Sprint("127.0.0.1:", port), "10")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(patience); ; <-time.After(5 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
		if err == nil {
			c.Close()
			return port
		}
		if time.Now().After(end) {
			t.Fatal("smtp-sink does not listen")
		}
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
		{"never at CONNECT", "-f connect", "transient error: smtp 500, unreachable"},
		{"never at MAIL", "-f mail", "permanent error: smtp 500"},
		{"never at RCPT", "-f rcpt", "permanent error: smtp 500"},
		{"never at DATA", "-f data", "permanent error: smtp 500"},
		{"never behind the message", "-f .", "permanent error: smtp 500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options("")
			o.Port = startSink(t, strings.Fields(tt.options)...)
			p, err := smtp.New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			_, err = email.New(p, common.Limits{}, o.Timeout).Send(t.Context(), request(""), common.Call{Attempt: 1, Recipients: []int{0}})
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
