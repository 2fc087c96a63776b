package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// answersAll is a mail server that gives one reply to each RCPT.
func answersAll(t *testing.T, reply func() string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go receive(c, reply)
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// receive speaks step by step until the client goes.
func receive(c net.Conn, reply func() string) {
	defer c.Close()
	in := bufio.NewScanner(c)
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	say("220 relay.example ESMTP")
	for message := false; in.Scan(); {
		verb, _, _ := strings.Cut(in.Text(), " ")
		switch {
		case message && in.Text() == ".":
			message = false
			say("250 2.0.0 Ok: queued")
		case message:
		case verb == "RCPT":
			say(reply())
		case verb == "DATA":
			message = true
			say("354 go on")
		case verb == "QUIT":
			say("221 2.0.0 Bye")
			return
		default:
			say("250 2.0.0 Ok")
		}
	}
}

// A provider that refuses us costs no more than nine messages, however long it
// lasts: with a code that no table has, though its probes are well; a mail
// server that refuses our host, or everybody of single recipients for a policy;
// a gateway in its place. Once that is mended all others are sent.
func TestProviderThatRefusesUs(t *testing.T) {
	t.Parallel()
	const messages = 60
	tests := []struct {
		name    string
		channel models.Channel
		letters int // at most
		reason  string
		status  int    // of Twilio's answer
		answer  string // its body, or the reply to RCPT
	}{
		{"account blocked", models.SMS, 9, "Twilio 99999", 400, `{"code":99999,"message":"Account blocked","status":400}`},
		{"gateway", models.SMS, 0, "http 404 from a gateway", 404, "<html>nginx</html>"},
		{"our name", models.Email, 0, "Helo command rejected", 0, "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"},
		{"a policy", models.Email, 9, "smtp 550 5.7.1 not from you", 0, "550 5.7.1 not from you"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var mended atomic.Bool
			var calls atomic.Int64
			settings := map[string]string{"BREAKER_OPEN_SECONDS": "0.1", "WORKER_CONCURRENCY": "20", "BASE_BACKOFF_SECONDS": "0.01", "MAX_BACKOFF_SECONDS": "0.02"}
			if tt.channel == models.SMS {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == http.MethodGet:
						_, _ = io.WriteString(w, `{"sid":"AC1","status":"active"}`)
					case mended.Load():
						w.WriteHeader(http.StatusCreated)
						_, _ = fmt.Fprintf(w, `{"sid":"SM%032x","status":"queued"}`, calls.Add(1))
					default:
						calls.Add(1)
						w.WriteHeader(tt.status)
						_, _ = io.WriteString(w, tt.answer)
					}
				}))
				t.Cleanup(server.Close)
				settings["SMS_PROVIDER"], settings["TWILIO_BASE_URL"] = "twilio", server.URL
				settings["TWILIO_ACCOUNT_SID"], settings["TWILIO_AUTH_TOKEN"] = settingsAccount, settingsSecret
			} else {
				port := answersAll(t, func() string {
					calls.Add(1)
					if mended.Load() {
						return "250 2.1.5 Ok"
					}
					return tt.answer
				})
				settings["EMAIL_PROVIDER"], settings["SMTP_HOST"], settings["SMTP_PORT"] = "smtp", "127.0.0.1", port
				settings["SMTP_TLS"], settings["SMTP_AUTH"] = "none", "none"
			}
			// Failures that are known spend attempts while few calls are let in.
			settings["MAX_ATTEMPTS"] = "100"
			if tt.letters > 0 {
				settings["MAX_ATTEMPTS"] = "2"
			}
			s := stage.New(t, tt.channel, stage.Options{})
			w := s.Work(settings)
			w.WaitReady(http.StatusOK)
			for range messages {
				id := stage.NewID()
				edits := map[string]any{}
				if tt.channel == models.Email {
					edits["to"], edits["cc"], edits["bcc"] = []string{"a@example.com"}, nil, nil
				}
				s.Put(id, stage.Request(tt.channel, id, edits))
			}
			stage.Eventually(t, func() string {
				if _, body := w.Get("/healthz/ready"); !strings.Contains(body, tt.reason) {
					return "readiness does not name the answer: " + body
				}
				if n := calls.Load(); n < messages { // it is tried long enough for every message to end
					return fmt.Sprintf("%d calls", n)
				}
				return ""
			})
			mended.Store(true)
			failed := 0
			for id, events := range s.Events(messages) {
				if last := events[len(events)-1]; last.EventType != models.EventSent {
					failed++
					if last.Attempt > 1 {
						t.Errorf("%s: %s", id, stage.Sequence(events))
					}
				}
			}
			if failed > tt.letters {
				t.Errorf("%d messages have failed, want at most %d", failed, tt.letters)
			}
			w.WaitReady(http.StatusOK)
		})
	}
}

// A list of bad recipients is refused one by one, and pauses nobody.
func TestListOfBadRecipients(t *testing.T) {
	t.Parallel()
	const messages = 30
	port := answersAll(t, func() string { return "550 5.1.1 no such user" })
	s := stage.New(t, models.Email, stage.Options{})
	w := s.Work(map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_TLS": "none", "SMTP_AUTH": "none",
	})
	w.WaitReady(http.StatusOK)
	for range messages {
		s.PutOne(map[string]any{"to": []string{"a@example.com"}, "cc": nil, "bcc": nil})
	}
	for id, events := range s.Events(messages) {
		stage.CheckSequence(t, id, events, "queued 0, attempt 1, failed 1")
	}
	if strings.Contains(w.Logs(), "no call starts") {
		t.Error("the channel was paused")
	}
}
