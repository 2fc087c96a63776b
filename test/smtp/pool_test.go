package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"messaging-worker/internal/models"
	provider "messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/email/smtp"
)

// mailOf is what the adapter makes of a request.
func mailOf(r *models.EmailRequest) provider.Message {
	return provider.Message{ID: r.MessageID, From: r.From, To: r.To, Recipients: r.To, Subject: r.Subject, Body: r.Body.Content, CreatedAt: r.CreatedAt}
}

// sink takes every message. After each one it asks whether to hang up. As
// servers do, it writes the replies to commands that came together together.
type sink struct {
	messages atomic.Int64
	commands sync.Map // by their first word, how many there were
	before   func()   // each reply to a message
	hangUp   func() bool
}

func (s *sink) serve(_ int, c net.Conn) {
	c.SetDeadline(time.Now().Add(6 * patience))
	in, out := bufio.NewReader(c), bufio.NewWriter(c)
	defer out.Flush()
	say := func(text string) {
		out.WriteString(text + "\r\n")
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
	say("220 sink")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := s.commands.LoadOrStore(word, &atomic.Int64{})
		n.(*atomic.Int64).Add(1)
		switch word {
		case "EHLO":
			say("250-sink\r\n250 PIPELINING")
		case "DATA":
			say("354 go on")
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
			}
			if s.before != nil {
				s.before()
			}
			s.messages.Add(1) // before the client can know of it
			say("250 2.0.0 Ok")
			if s.hangUp != nil && s.hangUp() {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (s *sink) count(command string) int64 {
	if n, ok := s.commands.Load(command); ok {
		return n.(*atomic.Int64).Load()
	}
	return 0
}

// sendAll sends n messages from workers goroutines.
func sendAll(tb testing.TB, p *smtp.Provider, n, workers int) {
	tb.Helper()
	sendCopies(tb, p, mailOf(newRequest("")), n, workers)
}

// sendCopies sends a mail n times.
func sendCopies(tb testing.TB, p *smtp.Provider, m provider.Message, n, workers int) {
	tb.Helper()
	work := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range work {
				if _, err := p.Send(tb.Context(), m); err != nil {
					tb.Errorf("Send: %v", err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

func TestConnectionsAreFewAndUsedAgain(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := serve(t, s.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 10
	p := newProvider(t, o)
	sendAll(t, p, 200, 10)
	p.Close()
	srv.rest()
	if total, peak := srv.count(); total > 12 || peak > 10 || s.messages.Load() != 200 {
		t.Errorf("%d messages on %d connections, %d at once, want 200 on at most 12, 10 at once", s.messages.Load(), total, peak)
	}
	if n := s.count("RSET") + s.count("NOOP"); n != 0 {
		t.Errorf("%d RSET and NOOP between good messages", n)
	}
	if total, _ := srv.count(); s.count("QUIT") != int64(total) {
		t.Errorf("%d QUIT on %d connections", s.count("QUIT"), total)
	}
}

func TestConnectionServesSoManyMessages(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := serve(t, s.serve)
	o := srv.options()
	for messages, want := range map[int]int{0: 6, 10: 60, 1: 600} { // 0: as usual, 100
		o.Messages = messages
		p := newProvider(t, o)
		before, _ := srv.count()
		sendAll(t, p, 600, 1)
		p.Close()
		if total, _ := srv.count(); total-before != want {
			t.Errorf("%d connections for 600 messages with %d on each, want %d", total-before, messages, want)
		}
	}
	if n := s.messages.Load(); n != 1800 {
		t.Errorf("%d messages arrived, want 1800", n)
	}
}

// TestServerThatClosesIdleConnections closes each after its message, when the
// client takes it for usable.
func TestServerThatClosesIdleConnections(t *testing.T) {
	t.Parallel()
	s := &sink{hangUp: func() bool { return true }}
	srv := serve(t, s.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 5
	p := newProvider(t, o)
	sendAll(t, p, 100, 5)
	p.Close()
	srv.rest()
	if s.messages.Load() != 100 {
		t.Errorf("%d messages arrived, want 100, each once", s.messages.Load())
	}
}

func TestIdleConnectionsAreQuit(t *testing.T) {
	t.Parallel()
	s := &sink{}
	gone := make(chan struct{}, 8)
	srv := serve(t, func(n int, c net.Conn) {
		s.serve(n, c)
		gone <- struct{}{}
	})
	o := options("")
	o.Port, o.Connections, o.IdleTimeout = srv.port(), 4, 50*time.Millisecond
	p := newProvider(t, o)
	defer p.Close()
	sendAll(t, p, 8, 4)
	total, _ := srv.count()
	for range total {
		wait(t, "quit", gone)
	}
	if s.count("QUIT") != int64(total) {
		t.Errorf("%d QUIT on %d connections", s.count("QUIT"), total)
	}
}

func TestWaitForASlotHeedsTheContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := &sink{hangUp: func() bool { <-release; return true }}
	reached := make(chan struct{})
	srv := serve(t, func(n int, c net.Conn) {
		close(reached)
		<-release
		s.serve(n, c)
	})
	p := newProvider(t, srv.options())
	done := make(chan error)
	go func() {
		_, err := p.Send(t.Context(), mailOf(newRequest("")))
		done <- err
	}()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Send(ctx, mailOf(newRequest(""))); err == nil {
		t.Error("a second call had no slot and no error")
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.Close()
}

func TestProbe(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := serve(t, s.serve)
	o := srv.options()
	p := newProvider(t, o)
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("Probe: %v", err)
	}
	if s.count("QUIT") != 1 || s.count("MAIL") != 0 {
		t.Errorf("%d QUIT, %d MAIL, want one QUIT and no MAIL", s.count("QUIT"), s.count("MAIL"))
	}
	o.Auth = smtp.AuthPlain
	p = newProvider(t, o)
	if _, ok := errors.AsType[*provider.SetupError](p.Probe(t.Context())); !ok {
		t.Error("Probe without AUTH offered: want a SetupError")
	}
}

// A probe beside connections of ours asks one that is idle, and is content
// where all are in use and the server grants no further one.
func TestProbeBesideConnections(t *testing.T) {
	t.Parallel()
	d := &doorman{how: "greeting"}
	d.granted.Store(1)
	srv := serve(t, d.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 10
	p := newProvider(t, o)
	defer p.Close()
	arrived, held := make(chan struct{}, 2), make(chan struct{})
	d.before = func() {
		arrived <- struct{}{}
		<-held
	}
	done := make(chan struct{})
	go func() {
		sendAll(t, p, 1, 1)
		close(done)
	}()
	wait(t, "message", arrived)
	if err := p.Probe(t.Context()); err != nil || d.turned.Load() != 1 {
		t.Errorf("Probe while the only connection is in use: %v, %d turned away, want nil and one", err, d.turned.Load())
	}
	close(held)
	wait(t, "end of the call", done)
	for range 3 {
		if err := p.Probe(t.Context()); err != nil {
			t.Errorf("Probe beside an idle connection: %v", err)
		}
	}
	if n := d.count("NOOP"); n != 3 || d.turned.Load() != 1 {
		t.Errorf("%d NOOP, %d turned away, want 3 and no further one", n, d.turned.Load())
	}
	sendAll(t, p, 1, 1)
	if total, _ := srv.count(); total != 2 || d.messages.Load() != 2 {
		t.Errorf("%d messages, %d connections, want both on the first, and one turned away", d.messages.Load(), total)
	}
}

// An idle connection that the server has closed is no failure of a probe, which
// then makes a new one.
func TestProbeFindsAnIdleConnectionClosed(t *testing.T) {
	t.Parallel()
	s := &sink{hangUp: func() bool { return true }}
	srv := serve(t, s.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 2
	p := newProvider(t, o)
	defer p.Close()
	sendAll(t, p, 1, 1)
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("Probe: %v", err)
	}
	if total, _ := srv.count(); total != 2 {
		t.Errorf("%d connections, want 2", total)
	}
	if _, open := p.Connections(); open != 0 {
		t.Errorf("%d open, want none", open)
	}
}

// While new connections are refused for what we are or have, an idle one that
// was let in earlier proves nothing.
func TestProbeWhileNewConnectionsAreRefused(t *testing.T) {
	t.Parallel()
	arrived, held := make(chan struct{}, 2), make(chan struct{})
	s := &sink{before: func() {
		arrived <- struct{}{}
		<-held
	}}
	srv := serve(t, func(n int, c net.Conn) {
		if n == 1 || n == 2 {
			_ = play(c, []string{"S: 554 5.7.1 your host is blocked"}, nil)
			return
		}
		s.serve(n, c)
	})
	o := options("")
	o.Port, o.Connections = srv.port(), 2
	p := newProvider(t, o)
	defer p.Close()
	done := make(chan struct{})
	go func() {
		sendAll(t, p, 1, 1)
		close(done)
	}()
	wait(t, "message", arrived)
	if _, err := p.Send(t.Context(), mailOf(newRequest(""))); err == nil {
		t.Error("a call on a refused connection has no error")
	}
	close(held)
	wait(t, "end of the first call", done)
	if err := p.Probe(t.Context()); err == nil {
		t.Error("the probe passes though new connections are refused")
	}
	if err := p.Probe(t.Context()); err != nil {
		t.Errorf("Probe when new connections are let in again: %v", err)
	}
}

// A server that says that it does not deliver now is heard, whatever it says it
// in answer to; one that says nothing of the kind is not suspected.
func TestServerQueuesForLater(t *testing.T) {
	t.Parallel()
	const usualRCPT, usualDot = "250 2.1.5 <user@example.com>... Recipient ok", "250 2.0.0 4F2A1B Message accepted for delivery"
	for _, tt := range []struct {
		rcpt, dot string
		want      int
	}{
		{usualRCPT, usualDot, 0},
		{usualRCPT, "250 2.0.0 Ok: queued as 4F2A1B", 0},
		{usualRCPT, "250 2.6.0 Queued mail for delivery", 0},
		{usualRCPT, "250 OK id=1xX9dc-0004wx-2f", 0},
		{"250 2.1.5 <user@example.com>... Recipient ok (will queue)", usualDot, 1},
		{usualRCPT, "250 OK, queued for later delivery", 1},
	} {
		srv := serve(t, func(_ int, c net.Conn) {
			_ = play(c, []string{
				"S: 220 relay.test", "C: EHLO *", "S: 250 relay.test", "C: MAIL *", "S: 250 ok", "C: RCPT *", "S: " + tt.rcpt,
				"C: DATA", "S: 354 go on", "C: <message>", "S: " + tt.dot,
			}, nil)
		})
		p := newProvider(t, srv.options())
		told := 0
		p.OnQueuedForLater(func() { told++ })
		sendAll(t, p, 1, 1)
		p.Close()
		if told != tt.want {
			t.Errorf("%q, %q: told %d times, want %d", tt.rcpt, tt.dot, told, tt.want)
		}
	}
}

// TestPanicLeavesTheSlot has a panic in the middle of a call, as a bug of ours
// or of a library would make. The engine lives on, and so must the pool.
func TestPanicLeavesTheSlot(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := serve(t, s.serve)
	asked := 0
	o := srv.options()
	o.Auth, o.Password = smtp.AuthPlain, func() (string, error) {
		if asked++; asked == 1 {
			panic("a bug")
		}
		return "secret", nil
	}
	p := newProvider(t, o)
	func() {
		defer func() { _ = recover() }()
		_, _ = p.Send(t.Context(), mailOf(newRequest("")))
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := p.Send(ctx, mailOf(newRequest("")))
	if _, ok := errors.AsType[*provider.SetupError](err); !ok {
		t.Errorf("the call after a panic: %v, want one that got as far as AUTH", err)
	}
}

func TestManyRecipients(t *testing.T) {
	t.Parallel()
	s := &sink{}
	srv := serve(t, s.serve)
	p := newProvider(t, srv.options())
	defer p.Close()
	for _, n := range []int{247, 248, 249, 250, 600} { // about the size of a group, and beyond
		var to []string
		for i := range n {
			to = append(to, fmt.Sprintf("user%d@example.com", i))
		}
		before := s.count("RCPT")
		m := mailOf(newRequest("to: " + strings.Join(to, " ")))
		if r, err := p.Send(t.Context(), m); err != nil || r.Refusals != nil || r.Failed != nil {
			t.Errorf("%d recipients: %+v, %v", n, r, err)
		}
		if got := s.count("RCPT") - before; got != int64(n) {
			t.Errorf("%d RCPT for %d recipients", got, n)
		}
	}
	if s.messages.Load() != 5 {
		t.Errorf("%d messages, want 5", s.messages.Load())
	}
}
