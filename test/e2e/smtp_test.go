package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// postOffice is an SMTP server that knows whom it refuses, and whom only at
// first. It notes who was given which message.
type postOffice struct {
	listener net.Listener
	refused  string // no such mailbox
	busy     string // deferred when it is asked for the first time in a message

	mu    sync.Mutex
	asked map[string]int // RCPT by message and recipient
	mails map[string]int // deliveries by message and recipient
	wg    sync.WaitGroup
}

func openPostOffice(t *testing.T, refused, busy string) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &postOffice{listener: l, refused: refused, busy: busy, asked: map[string]int{}, mails: map[string]int{}}
	o.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.wg.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		o.wg.Wait() // the worker, which is stopped before, keeps connections open
	})
	return o
}

func (o *postOffice) port() string { return strconv.Itoa(o.listener.Addr().(*net.TCPAddr).Port) }

// serve speaks step by step. A message is known by its sender.
func (o *postOffice) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	io.WriteString(c, "220 office\r\n")
	var message string
	var taken []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer, argument := "250 ok", between(line)
		switch line[:4] {
		case "MAIL":
			message, taken = argument, nil
		case "RCPT":
			if answer = o.ask(message, argument); answer == "250 ok" {
				taken = append(taken, argument)
			}
		case "DATA":
			io.WriteString(c, "354 go on\r\n")
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
			}
			o.deliver(message, taken)
		}
		io.WriteString(c, answer+"\r\n")
	}
}

// between returns what stands in angle brackets.
func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	text, _, _ := strings.Cut(rest, ">")
	return text
}

func (o *postOffice) ask(message, recipient string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := message + " " + recipient
	o.asked[key]++
	switch {
	case recipient == o.refused:
		return "550 5.1.1 <" + strings.ToUpper(recipient) + ">: no such mailbox"
	case recipient == o.busy && o.asked[key] == 1:
		return "451 4.2.1 <" + recipient + ">: come back later"
	}
	return "250 ok"
}

func (o *postOffice) deliver(message string, to []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, recipient := range to {
		o.mails[message+" "+recipient]++
	}
}

// One of three recipients is refused, another one is busy at first: two have
// the mail, once, and one dead letter names the third.
func TestOneOfThreeRecipientsRefused(t *testing.T) {
	t.Parallel()
	const messages, good, bad, busy = 20, "good@example.com", "bad@example.com", "busy@example.com"
	office := openPostOffice(t, bad, busy)
	s := stage.New(t, models.Email, stage.Options{})
	w := s.Work(map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": office.port(), "SMTP_TLS": "none", "SMTP_AUTH": "none",
		"PROVIDER_TIMEOUT_SECONDS": "30",
	})
	w.WaitReady(http.StatusOK)
	senders := map[string]string{} // by message id
	for i := range messages {
		id := stage.NewID()
		senders[id] = fmt.Sprintf("sender%d@example.com", i)
		s.Put(id, stage.Request(models.Email, id, map[string]any{"from": senders[id], "to": []string{good, bad}, "bcc": []string{busy}}))
	}
	events, letters := s.Events(messages), s.DeadLetters(messages)
	s.Committed()
	w.Stop()
	for id, sender := range senders {
		checkOneOfThree(t, events[id], letters[id])
		office.mu.Lock()
		for recipient, want := range map[string]int{good: 1, bad: 0, busy: 1} {
			if n := office.mails[sender+" "+recipient]; n != want {
				t.Errorf("%s has %d mails of %s, want %d", recipient, n, sender, want)
			}
		}
		if a, b := office.asked[sender+" "+good], office.asked[sender+" "+bad]; a != 1 || b != 1 {
			t.Errorf("the server was asked %d times for who has the mail, %d for who is refused, want once", a, b)
		}
		office.mu.Unlock()
	}
	if logs := w.Logs(); strings.Contains(strings.ToLower(logs), "bad@") {
		t.Error("the log names a recipient")
	}
}

func checkOneOfThree(t *testing.T, events []stage.Event, letters []stage.DeadLetter) {
	t.Helper()
	const want = "queued 0, attempt 1, retry 1, attempt 2, failed 2"
	if got := stage.Sequence(events); got != want {
		t.Errorf("events %s, want %s", got, want)
		return
	}
	retry, last := events[2].ProviderResponse, events[4].ProviderResponse
	if retry.Meta[models.MetaOpenRecipients] != "2" || retry.Meta["accepted"] != "1" || retry.Meta["rejected"] != "1" {
		t.Errorf("retry: %+v, want number 2 open", retry)
	}
	if last.Status != models.StatusPartial || last.Meta["accepted"] != "2" || last.Meta["rejected"] != "1" ||
		!strings.HasPrefix(last.Meta["refused.1"], "smtp 550 5.1.1 <[omitted]>") {
		t.Errorf("failed: %+v, want two accepted and number 1 refused", last)
	}
	if text := events[4].Error; !strings.HasPrefix(text, "permanent error: smtp 550 ") || last.Code != 550 || len(letters) != 1 || letters[0].LastError != text {
		t.Errorf("failed with %d %q, dead letters %+v, want the refusal in both", last.Code, text, letters)
	}
	if len(letters) != 1 {
		t.Errorf("%d dead letters, want one", len(letters))
		return
	}
	if l := letters[0]; l.FailureType != models.FailurePermanent || l.Meta[models.MetaFailedRecipients] != "bad@example.com" || l.Attempts != 2 {
		t.Errorf("dead letter %+v, want one that names bad@example.com", l.DLQRecord)
	}
}
