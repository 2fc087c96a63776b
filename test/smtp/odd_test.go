package smtp_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email/smtp"
)

// odd is a server whose replies are as odd as it is told to make them. It
// takes a message for every recipient but those with "no" in them.
type odd struct {
	pipelining bool
	config     *tls.Config // for TLS from the first byte; nil for none

	// write makes what goes out of a reply to a command; "" is the greeting,
	// "." the message.
	write func(command string, code int, text string) string

	mu    sync.Mutex
	mails map[string]int // by recipient
	conn  net.Conn       // of the last mail
}

func (s *odd) serve(_ int, c net.Conn) {
	c.SetDeadline(time.Now().Add(patience))
	if s.config != nil {
		c = tls.Server(c, s.config)
	}
	in, out := bufio.NewReader(c), bufio.NewWriter(c)
	defer out.Flush()
	say := func(command string, code int, text string) {
		out.WriteString(s.write(command, code, text))
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
	say("", 220, "odd")
	var taken []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch command, _, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case command == "EHLO" && s.pipelining:
			out.WriteString("250-PIPELINING\r\n")
			say(command, 250, "PIPELINING")
		case command == "RCPT" && strings.Contains(line, "no"):
			say(command, 550, "5.1.1 unknown")
		case command == "RCPT":
			taken = append(taken, line[len("RCPT TO:<"):strings.IndexByte(line, '>')])
			say(command, 250, "2.1.5 Ok")
		case command == "DATA" && len(taken) == 0:
			say(command, 554, "5.5.1 no valid recipients")
		case command == "DATA":
			say(command, 354, "go on")
			out.Flush()
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
			}
			if err != nil {
				return
			}
			s.deliver(c, taken)
			taken = nil
			say(".", 250, "2.0.0 Ok")
		case command == "QUIT":
			say(command, 221, "bye")
			return
		default:
			taken = nil
			say(command, 250, "Ok")
		}
	}
}

func (s *odd) deliver(c net.Conn, to []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = c
	if s.mails == nil {
		s.mails = map[string]int{}
	}
	for _, rcpt := range to {
		s.mails[rcpt]++
	}
}

// lastConn returns the connection that the last mail came on, once.
func (s *odd) lastConn() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conn
	s.conn = nil
	return c
}

// take returns how many mails each recipient got, and forgets it.
func (s *odd) take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := s.mails
	s.mails = nil
	return mails
}

// plainly writes a reply as everybody does.
func plainly(_ string, code int, text string) string { return fmt.Sprintf("%d %s\r\n", code, text) }

// TestOddRepliesAreRead has a server whose every reply is written in an odd
// form, at every stage: what comes of the mails is the same.
func TestOddRepliesAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		forms := rapid.SliceOfN(oddForm(), 1, 40).Draw(r, "forms")
		var said atomic.Int64
		s := &odd{pipelining: rapid.Bool().Draw(r, "pipelining"), write: func(_ string, code int, text string) string {
			form := forms[int(said.Add(1))%len(forms)]
			return strings.ReplaceAll(strings.ReplaceAll(form, "CODE", strconv.Itoa(code)), "TEXT", text)
		}}
		srv := serve(t, s.serve)
		defer srv.stop()
		o := srv.options()
		p := newProvider(t, o)
		defer p.Close()
		a := email.New(p, request.Limits{}, o.Timeout)
		for _, to := range []string{"a@example.com", "b@example.com no@example.com c@example.com", "no@example.com", "d@example.com"} {
			req := newRequest("to: " + to)
			_, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: a.Delivery(req).Units[0]})
			wantMails(r, s, req.To, common.Classify(err))
		}
		if total, _ := srv.count(); total != 1 {
			r.Errorf("%d connections, want 1", total)
		}
	})
}

// oddForm makes a form of a reply, with CODE and TEXT in it.
func oddForm() *rapid.Generator[string] {
	lead := rapid.SampledFrom([]string{"", "", "\r\n", "\n", "\r\n\r\n"})
	line := rapid.SampledFrom([]string{
		"CODE-before", "CODE-", "CODE-\tbefore", "no code at all", "", "CODEless", "2500 messages", "999 no code of SMTP",
		"250-another code", "554-another code", strings.Repeat("x", 5000), "CODE-" + strings.Repeat("y", 9000),
	})
	last := rapid.SampledFrom([]string{"CODE TEXT\r\n", "CODE\tTEXT\r\n", "CODE TEXT\n", "CODE  TEXT \r\n"})
	return rapid.Custom(func(t *rapid.T) string {
		parts := []string{lead.Draw(t, "lead")}
		for _, l := range rapid.SliceOfN(line, 0, 3).Draw(t, "lines") {
			parts = append(parts, "CODE-first\r\n", l, "\r\n")
		}
		return strings.Join(append(parts, last.Draw(t, "last")), "")
	})
}

// wantMails looks that each recipient has the mail once, but those with "no",
// who are refused.
func wantMails(t interface{ Errorf(string, ...any) }, s *odd, to []string, f *common.Failure) {
	mails := s.take()
	var refused []int
	for i, rcpt := range to {
		want := 1
		if strings.Contains(rcpt, "no") {
			want = 0
			refused = append(refused, i)
		}
		if mails[rcpt] != want {
			t.Errorf("%s has %d mails, want %d", rcpt, mails[rcpt], want)
		}
	}
	switch {
	case len(refused) == 0 && f != nil:
		t.Errorf("%v: %+v, want none", to, f)
	case len(refused) > 0 && (f == nil || f.Class != models.FailurePermanent || len(f.Open) > 0 || !slices.Equal(f.Refused, refused)):
		t.Errorf("%v: %+v, want %v refused", to, f, refused)
	}
}

// TestTwoRepliesToOneMessage has a server that answers a message twice, the
// second time with the first reply, or when the connection is idle, or before
// the reply to what comes next. No reply is taken for that to another command:
// the next mails are as they would be without.
func TestTwoRepliesToOneMessage(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	for _, when := range []string{".", "idle", "MAIL", "RCPT", "DATA", "RSET"} {
		for _, surplus := range []string{"250 2.0.0 Ok\r\n", "451 4.3.0 later\r\n", "554 5.3.0 no\r\n"} {
			for _, to := range []string{"a@example.com", "a@example.com no@example.com", "no@example.com a@example.com", "no@example.com", "no@example.com no2@example.com a@example.com"} {
				for _, way := range []string{"pipelining", "step by step", "tls"} {
					if way == "step by step" && surplus[0] != '2' && when != "." && when != "idle" {
						continue // nobody can tell it from a refusal
					}
					t.Run(fmt.Sprintf("%s/%.3s/%s/%s", when, surplus, to, way), func(t *testing.T) {
						t.Parallel()
						s := &odd{pipelining: way != "step by step"}
						o := options("")
						if way == "tls" {
							s.config, o.TLS, o.RootCAs = config, smtp.TLSImplicit, roots
						}
						twice(t, s, o, when, surplus, to)
					})
				}
			}
		}
	}
}

// twice sends a mail that is answered twice, and three more.
func twice(t *testing.T, s *odd, o smtp.Options, when, surplus, to string) {
	t.Helper()
	var mu sync.Mutex
	due := false
	s.write = func(command string, code int, text string) string {
		mu.Lock()
		defer mu.Unlock()
		reply := plainly(command, code, text)
		switch {
		case command == "." && when == ".":
			return reply + surplus
		case command == ".":
			due = true
		case command == when && due:
			due = false
			return surplus + reply
		}
		return reply
	}
	srv := serve(t, s.serve)
	o.Port = srv.port()
	p := newProvider(t, o)
	defer p.Close()
	a := email.New(p, request.Limits{}, o.Timeout)
	for _, to := range []string{"z@example.com", to, "y@example.com", to} {
		req := newRequest("to: " + to)
		_, err := a.Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: a.Delivery(req).Units[0]})
		wantMails(t, s, req.To, common.Classify(err))
		if last := s.lastConn(); when == "idle" && last != nil {
			_, _ = io.WriteString(last, surplus) // it may be closed
		}
	}
}

// TestCutReplyToAMessage has a connection that breaks within the reply to the
// last line. Without a word of it, or when it begins to refuse, the message
// may be repeated; else it may have been accepted, and is not.
func TestCutReplyToAMessage(t *testing.T) {
	t.Parallel()
	const (
		sent = iota
		ambiguous
		accepted
	)
	tests := []struct {
		reply string
		want  int
	}{
		{"", ambiguous},
		{"\r\n", ambiguous},
		{"4", ambiguous},
		{"45", ambiguous},
		{"451", ambiguous},
		{"451 4.3.0 no", ambiguous},
		{"5", ambiguous},
		{"550-5.7.1 no\r\n", ambiguous},
		{"550-5.7.1 no\r\n55", ambiguous},
		{"garbage", accepted},
		{"garbage\r\n", accepted},
		{"<html>\r\n<body>\r\n", accepted},
		{"\r\n2", accepted},
	}
	const whole = "250-2.0.0 Ok\r\nthank you\r\n250 2.0.0 queued"
	for n := 1; n <= len(whole); n++ {
		tests = append(tests, struct {
			reply string
			want  int
		}{whole[:n], accepted})
	}
	tests = append(tests, struct {
		reply string
		want  int
	}{whole + "\n", sent})
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%q", tt.reply), func(t *testing.T) {
			t.Parallel()
			srv := serve(t, func(_ int, c net.Conn) {
				if err := play(c, strings.Split(strings.TrimSpace(strings.TrimSuffix(hello+deliver, "S: 250 ok\n")+"S: <silence>"), "\n"), nil); err != nil {
					t.Error(err)
				}
				io.WriteString(c, tt.reply)
			})
			o := srv.options()
			p := newProvider(t, o)
			defer p.Close()
			_, err := email.New(p, request.Limits{}, o.Timeout).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
			f := common.Classify(err)
			got := sent
			if f != nil {
				got = -1
			}
			if f != nil && f.Ambiguous && !f.Accepted && f.Class == models.FailureTransient {
				got = ambiguous
			}
			if f != nil && f.Accepted && !f.Ambiguous && !f.Unreachable && f.Class == models.FailureUnknown {
				got = accepted
			}
			if got != tt.want {
				t.Errorf("%+v is %d, want %d", f, got, tt.want)
			}
		})
	}
}
