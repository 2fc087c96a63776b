// Package adaptertest is the exam that every adapter passes: whatever a
// provider answers, the outcome has a class, the response fits to it, and
// nothing of the request comes back in either.
package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// Secrets of the exam's request: none may appear in an error or a response. A subject may plant them in what its provider answers.
func Secrets() []string {
	return []string{"+15557654321", "15557654321", "user@example.com", "your code is 123456", "private subject"}
}

// Limit is the time limit that the subject's adapter must be made with.
const Limit = 30 * time.Second

// Answer is one provider answer and what must come of it.
type Answer struct {
	Name   string
	Err    error
	Class  models.FailureType
	Status string // of the response; empty when any will do
	Text   string // a part of the error's text
}

// Send makes one call whose provider answers with err.
type Send func(ctx context.Context, err error) (models.ProviderResponse, error)

// Run holds the exam with the subject's own answers and the network's.
func Run(t *testing.T, send Send, answers []Answer) {
	t.Helper()
	for _, a := range append(answers, network()...) {
		resp, err := send(t.Context(), a.Err)
		f, ok := errors.AsType[*common.Failure](err)
		if !ok {
			t.Errorf("%s: error is %T, want *common.Failure", a.Name, err)
			continue
		}
		if f.Class != a.Class || !strings.HasPrefix(f.Error(), string(f.Class)+" error: ") {
			t.Errorf("%s: %q of class %s, want class %s", a.Name, f, f.Class, a.Class)
		}
		if resp.Status == "" || resp.Status == models.StatusOK || a.Status != "" && resp.Status != a.Status {
			t.Errorf("%s: status %q, want %q", a.Name, resp.Status, a.Status)
		}
		if !strings.Contains(f.Error(), a.Text) {
			t.Errorf("%s: error %q, want it to say %q", a.Name, f, a.Text)
		}
		noSecrets(t, a.Name, f.Error(), resp)
	}
	resp, err := send(t.Context(), nil)
	if err != nil || resp.Status != models.StatusOK || resp.Raw != "" {
		t.Errorf("accepted: %+v, %v, want ok without raw", resp, err)
	}
	for id, value := range resp.Meta { // an id is named by the number that it is for
		delete(resp.Meta, id)
		resp.Meta[strings.TrimSuffix(id, Secrets()[0])] = value
	}
	noSecrets(t, "accepted", "", resp)
}

func noSecrets(t *testing.T, name, text string, resp models.ProviderResponse) {
	t.Helper()
	for _, secret := range Secrets() {
		if strings.Contains(text+resp.Message+resp.Raw+fmt.Sprint(resp.Meta), secret) {
			t.Errorf("%s: %q is shown in %q %+v", name, secret, text, resp)
		}
	}
	if n := len([]rune(resp.Raw)); n > models.MaxTextRunes {
		t.Errorf("%s: raw has %d runes", name, n)
	}
}

// network lists the ways to get no answer.
func network() []Answer {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("connect: %w", syscall.ECONNREFUSED)}
	return []Answer{
		{"deadline", fmt.Errorf("post: %w", context.DeadlineExceeded), models.FailureTransient, models.StatusTimeout, "timeout after 30s"},
		{"refused", refused, models.FailureTransient, models.StatusUnavailable, "connection refused"},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, models.FailureTransient, models.StatusUnavailable, "connection reset"},
		{"no such host", &net.DNSError{Err: "no such host", Name: "user@example.com"}, models.FailureTransient, models.StatusUnavailable, "host not found"},
		{"what nobody classified", errors.New("odd: user@example.com your code is 123456"), models.FailureUnknown, models.StatusUnknown, ""},
	}
}
