package smtp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
)

// narrow takes so many recipients a transaction, and answers a message once
// hold returns.
type narrow struct {
	width int
	hold  func()

	mu    sync.Mutex
	mails map[string]int // by recipient
}

func (s *narrow) serve(_ int, c net.Conn) {
	c.SetDeadline(time.Now().Add(6 * patience))
	in := bufio.NewReader(c)
	say := func(text string) { io.WriteString(c, text+"\r\n") }
	say("220 narrow")
	var taken []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(line, "EHLO"):
			say("250-narrow\r\n250 PIPELINING")
		case strings.HasPrefix(line, "RCPT") && len(taken) == s.width:
			say("452 4.5.3 too many recipients")
		case strings.HasPrefix(line, "RCPT"):
			taken = append(taken, strings.TrimSpace(line))
			say("250 ok")
		case strings.HasPrefix(line, "DATA"):
			say("354 go on")
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
			}
			s.hold()
			s.deliver(taken)
			taken = nil
			say("250 2.0.0 Ok")
		default:
			say("250 ok")
		}
	}
}

func (s *narrow) deliver(to []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mails == nil {
		s.mails = map[string]int{}
	}
	for _, rcpt := range to {
		s.mails[rcpt]++
	}
}

// TestFurtherTransactionsHaveTheTimeOfOneCall has a full transaction, and no
// time for a further one: who was not tried is open for certain, and the
// server is not blamed.
func TestFurtherTransactionsHaveTheTimeOfOneCall(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		limit time.Duration // of the call
		data  time.Duration
		ctx   time.Duration
		hold  time.Duration
	}{
		{"the call's limit is over", brief, patience, 2 * patience, brief},
		{"the caller leaves no time for the reply", patience, 3 * patience, 2 * patience, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &narrow{width: 1, hold: func() { <-time.After(tt.hold) }}
			srv := serve(t, s.serve)
			o := options("")
			o.Port, o.Timeout, o.DataTimeout = srv.port(), tt.limit, tt.data
			p := newProvider(t, o)
			defer p.Close()
			ctx, cancel := context.WithTimeout(t.Context(), tt.ctx)
			defer cancel()
			req := newRequest("to: a@example.com b@example.com c@example.com")
			resp, err := email.New(p, request.Limits{}, o.Timeout).Delivery(req).Send(ctx, common.Call{Attempt: 1, Recipients: []int{0, 1, 2}})
			got := tell(resp, err)
			want := fmt.Sprintf("partial 250 Ok\naccepted: 1\nrejected: 0\ntransient error: timeout after %v before every recipient was tried\nrefused [] open [1 2]\n", tt.limit)
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestFurtherTransactionStalls has a server that delivers once and is then
// silent before the last line of the further transaction.
func TestFurtherTransactionStalls(t *testing.T) {
	t.Parallel()
	script := strings.Split(strings.TrimSpace(hello+strings.Replace(deliver, "C: DATA", "C: RCPT TO:<b@example.com>\nS: 452 4.5.3 too many\nC: DATA", 1)+"C: MAIL *\nS: <silence>"), "\n")
	srv := serve(t, func(_ int, c net.Conn) {
		if err := play(c, script, nil); err != nil {
			t.Errorf("server: %v", err)
		}
		_, _ = io.Copy(io.Discard, c)
	})
	o := options("")
	o.Port, o.Timeout = srv.port(), brief
	p := newProvider(t, o)
	defer p.Close()
	req := newRequest("to: a@example.com b@example.com")
	_, err := email.New(p, request.Limits{}, o.Timeout).Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0, 1}})
	f := common.Classify(err)
	if f == nil || f.Class != models.FailureTransient || f.Ambiguous || f.Unreachable || !slices.Equal(f.Open, []int{1}) {
		t.Errorf("%+v, want number 1 open for certain", f)
	}
}

// TestManyTransactionsGiveNobodyTheMailTwice has the engine's deadline and a
// server that is slow within its limits: attempt after attempt goes on with
// who is left.
func TestManyTransactionsGiveNobodyTheMailTwice(t *testing.T) {
	t.Parallel()
	const recipients, limit = 20, brief
	s := &narrow{width: 5, hold: func() { <-time.After(limit * 3 / 5) }}
	srv := serve(t, s.serve)
	o := options("")
	o.Port, o.Timeout = srv.port(), limit
	p := newProvider(t, o)
	defer p.Close()
	var to []string
	for i := range recipients {
		to = append(to, fmt.Sprintf("user%d@example.com", i))
	}
	req, a := newRequest("to: "+strings.Join(to, " ")), email.New(p, request.Limits{}, o.Timeout)
	open := a.Delivery(req).Units[0]
	for attempt := 1; len(open) > 0; attempt++ {
		ctx, cancel := context.WithTimeout(t.Context(), 2*limit)
		_, err := a.Delivery(req).Send(ctx, common.Call{Attempt: attempt, Recipients: open})
		cancel()
		f := common.Classify(err)
		if f == nil {
			break
		}
		if f.Ambiguous || f.Unreachable || len(f.Open) >= len(open) {
			t.Fatalf("attempt %d: %+v, want fewer open, and for certain", attempt, f)
		}
		open = f.Open
	}
	for rcpt, n := range s.mails {
		if n != 1 {
			t.Errorf("%s has %d mails, want 1", rcpt, n)
		}
	}
	if len(s.mails) != recipients {
		t.Errorf("%d recipients have the mail, want %d", len(s.mails), recipients)
	}
}
