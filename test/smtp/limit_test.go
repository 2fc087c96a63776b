package smtp_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	provider "messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/email/smtp"
	"messaging-worker/internal/worker/route"
)

// doorman lets so many connections in at once and turns the others away, as
// how says: "greeting", "reset", "close" or "silence", or "EHLO" or "MAIL",
// where it does.
type doorman struct {
	sink

	how     string
	granted atomic.Int64
	in      atomic.Int64
	turned  atomic.Int64
}

func (d *doorman) serve(n int, c net.Conn) {
	if d.in.Add(1) <= d.granted.Load() {
		d.sink.serve(n, c)
		// Before the client can see the end, or its next connection would find
		// this one still counted.
		d.in.Add(-1)
		return
	}
	d.in.Add(-1)
	d.turned.Add(1)
	c.SetDeadline(time.Now().Add(patience))
	const tooMany = "421 4.7.0 relay.test Error: too many connections from 127.0.0.1\r\n"
	switch d.how {
	case "greeting":
		io.WriteString(c, tooMany)
	case "reset":
		c.(*net.TCPConn).SetLinger(0)
	case "silence":
		io.Copy(io.Discard, c) // until the client gives up
	case "EHLO":
		_ = play(c, []string{"S: 220 relay.test", "C: EHLO *", "S: " + strings.TrimSpace(tooMany)}, nil)
	case "MAIL":
		_ = play(c, []string{"S: 220 relay.test", "C: EHLO *", "S: 250 relay.test", "C: MAIL *", "S: " + strings.TrimSpace(tooMany)}, nil)
	}
}

// gated sends as the engine does: a call that was not made gives its slot back
// and takes another.
type gated struct {
	*smtp.Provider

	route *route.Route
	bound atomic.Int64 // that the route was told last
	mail  provider.Message
}

func newGated(t *testing.T, o smtp.Options) *gated {
	t.Helper()
	p := newProvider(t, o)
	t.Cleanup(func() { p.Close() })
	g := &gated{Provider: p, route: route.New(route.Options{Concurrency: o.Connections}), mail: mailOf(newRequest(""))}
	p.OnLimit(func(calls int) {
		g.bound.Store(int64(calls))
		g.route.Bound(calls)
	})
	return g
}

func (g *gated) send(ctx context.Context) error {
	a := &route.Attempt{Lease: free{}}
	if err := g.route.Admit(ctx, a, 1, nil); err != nil {
		return err
	}
	for {
		call, err := g.route.Start(ctx, a, nil)
		if err != nil {
			g.route.Withdraw(a, 1)
			return err
		}
		_, err = g.Send(ctx, g.mail)
		_, busy := errors.AsType[*provider.BusyError](err)
		g.route.End(call, route.Outcome{Failure: &common.Failure{NotCalled: busy}})
		if !busy {
			return err
		}
	}
}

// free is a lease that nobody disputes.
type free struct{}

func (free) Await(context.Context) error   { return nil }
func (free) Yield(wait func() error) error { return wait() }

// sendMany sends n mails, as many at once as the route lets.
func (g *gated) sendMany(t *testing.T, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if err := g.send(t.Context()); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	wg.Wait()
}

// However a server turns away what is too many, every message gets there once,
// no call fails, and what comes later goes by the limit.
func TestServerThatGrantsFewConnections(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"greeting", "reset", "close", "EHLO", "MAIL"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := &doorman{how: how}
			d.granted.Store(2)
			srv := serve(t, d.serve)
			o := options("")
			o.Port, o.Connections = srv.port(), 50
			g := newGated(t, o)
			g.sendMany(t, 300)
			if n := d.messages.Load(); n != 300 {
				t.Errorf("%d messages arrived, want 300, each once", n)
			}
			if limit, _ := g.Connections(); limit < 1 || limit > 3 {
				t.Errorf("limit %d, want about 2", limit)
			}
			if n := g.bound.Load(); n < 1 || n > 3 {
				t.Errorf("the route was told to let %d calls be under way, want about 2", n)
			}
		})
	}
}

// A server that lets connections wait for its greeting, as one with a full
// backlog does, serves all on those that it has greeted.
func TestServerThatGreetsFew(t *testing.T) {
	t.Parallel()
	d := &doorman{how: "silence"}
	d.granted.Store(2)
	srv := serve(t, d.serve)
	o := options("")
	o.Port, o.Connections, o.Messages, o.Timeout = srv.port(), 20, 1000, time.Hour // which nobody waits for
	g := newGated(t, o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.sendMany(t, 300)
	}()
	wait(t, "300 messages", done)
	if n := d.messages.Load(); n != 300 {
		t.Errorf("%d messages arrived, want 300, each once", n)
	}
	if total, _ := srv.count(); total > o.Connections {
		t.Errorf("%d connections, want at most %d", total, o.Connections)
	}
}

// A server that lets more in than before is soon used to the full.
func TestServerThatGrantsMoreLater(t *testing.T) {
	t.Parallel()
	d := &doorman{how: "greeting"}
	d.granted.Store(2)
	srv := serve(t, d.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 6
	g := newGated(t, o)
	g.sendMany(t, 50)
	d.granted.Store(100)
	for end := time.Now().Add(patience); ; g.sendMany(t, 50) {
		limit, _ := g.Connections()
		if limit == o.Connections {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("limit %d after %v, want %d", limit, patience, o.Connections)
		}
	}
}

// A server that listens no more, as one behind a firewall that counts, costs
// the connections that are open nothing.
func TestNoListenerWhileOthersWork(t *testing.T) {
	t.Parallel()
	d := &doorman{}
	d.granted.Store(2)
	srv := serve(t, d.serve)
	o := options("")
	o.Port, o.Connections, o.Messages = srv.port(), 20, 1000
	g := newGated(t, o)
	arrived, held := make(chan struct{}, 102), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	d.before = func() { // or one connection could serve the second message, too
		arrived <- struct{}{}
		<-held
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { g.sendMany(t, 1) })
	}
	for range 2 {
		wait(t, "message", arrived)
	}
	srv.Close()
	wg.Go(func() { g.sendMany(t, 100) })
	release()
	wg.Wait()
	if n := d.messages.Load(); n != 102 {
		t.Errorf("%d messages arrived, want 102, each once", n)
	}
}

// Where none of ours is let in, the error is the server's.
func TestNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	d := &doorman{how: "greeting"}
	srv := serve(t, d.serve)
	o := options("")
	o.Port, o.Connections = srv.port(), 10
	g := newGated(t, o)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			setUp, ok := errors.AsType[*provider.SetupError](g.send(t.Context()))
			if !ok || setUp.Reply.Code != 421 {
				t.Errorf("send: %v, want the 421 of the greeting", setUp)
			}
		})
	}
	wg.Wait()
	if err := g.Probe(t.Context()); err == nil {
		t.Error("the probe passes though nobody is let in")
	}
	if limit, open := g.Connections(); limit != 10 || open != 0 {
		t.Errorf("limit %d, %d open, want no limit and none open", limit, open)
	}
}
