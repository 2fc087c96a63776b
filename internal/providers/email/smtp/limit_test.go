package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"messaging-worker/internal/providers/email"
)

// narrow is a server that grants few connections. It is slow to see that one
// has ended.
type narrow struct {
	lag time.Duration

	mu      sync.Mutex
	granted int // connections at once
	open    int
	refused int
	wg      sync.WaitGroup
}

// connect is what the pool calls: a greeting takes 5 ms, a refusal 1 ms.
func (n *narrow) connect(context.Context, time.Time) (*conn, error) {
	time.Sleep(time.Millisecond)
	n.mu.Lock()
	if n.open >= n.granted {
		n.refused++
		n.mu.Unlock()
		return nil, &email.SetupError{Stage: "greeting", Reply: email.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}}}
	}
	n.open++
	n.mu.Unlock()
	time.Sleep(4 * time.Millisecond)
	client, server := net.Pipe()
	n.wg.Go(func() {
		defer n.end(server)
		in := bufio.NewReader(server)
		for {
			line, err := in.ReadString('\n')
			if err != nil || strings.HasPrefix(line, "QUIT") {
				_, _ = server.Write([]byte("221 bye\r\n"))
				return
			}
			_, _ = server.Write([]byte("250 ok\r\n"))
		}
	})
	return newConn(client), nil
}

func (n *narrow) pool(slots, messages int) *pool {
	return newPool(&Options{Connections: slots, Messages: messages, IdleTimeout: maxIdle, Timeout: maxIdle}, n.connect)
}

func (n *narrow) end(c net.Conn) {
	c.Close()
	time.Sleep(n.lag)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
}

func (n *narrow) grant(connections int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.granted = connections
}

func (n *narrow) refusals() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.refused
}

// callers keep a pool busy: each makes one call after the other, as long as
// nothing but the limit keeps it from that.
type callers struct {
	pool   *pool
	length time.Duration // of a call

	mu       sync.Mutex
	calls    int
	failures int
}

func (c *callers) run(ctx context.Context, n int) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for ctx.Err() == nil {
				c.once(ctx)
			}
		})
	}
	wg.Wait()
	c.pool.close()
}

func (c *callers) once(ctx context.Context) {
	if c.pool.acquire(ctx) != nil {
		return
	}
	k := c.pool.takeIdle()
	if k == nil {
		var err error
		if k, err = c.pool.get(ctx, time.Now().Add(30*time.Second)); err != nil {
			c.pool.put(nil)
			if _, busy := errors.AsType[*email.BusyError](err); !busy && ctx.Err() == nil {
				c.mu.Lock()
				c.failures++
				c.mu.Unlock()
				time.Sleep(100 * time.Millisecond)
			}
			return
		}
	}
	time.Sleep(c.length)
	k.served++
	c.mu.Lock()
	c.calls++
	c.mu.Unlock()
	c.pool.put(k)
}

func (c *callers) counts() (calls, failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.failures
}

// Whatever a server grants, and however it changes its mind, the pool comes to
// that within minutes, in both directions, and no call fails for it.
func TestPoolGoesByWhatTheServerGrants(t *testing.T) {
	t.Parallel()
	const measured = 30 * time.Second
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(r, "slots")
		grants := rapid.SliceOfN(rapid.IntRange(1, 10), 1, 3).Draw(r, "connections granted")
		messages := rapid.SampledFrom([]int{5, 20, 100}).Draw(r, "messages on a connection")
		lag := rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond}).Draw(r, "lag of the server")
		synctest.Test(t, func(t *testing.T) {
			n := &narrow{lag: lag}
			p := n.pool(size, messages)
			c := &callers{pool: p, length: 500 * time.Millisecond}
			ctx, stop := context.WithCancel(t.Context())
			n.grant(grants[0])
			var wg sync.WaitGroup
			wg.Go(func() { c.run(ctx, size) })
			for _, granted := range grants {
				n.grant(granted)
				time.Sleep(2 * time.Minute) // the longest wait for a trial is one
				before, _ := c.counts()
				time.Sleep(measured)
				after, failures := c.counts()
				ideal := int(measured/c.length) * min(size, granted)
				if done := after - before; done < ideal*8/10 || failures > 0 {
					limit, open := p.connections()
					r.Errorf("%d connections granted: %d calls in half a minute, want about %d; %d failures; limit %d, %d open", granted, done, ideal, failures, limit, open)
				}
			}
			stop()
			wg.Wait()
			n.wg.Wait()
		})
	})
}

// A server that grants 2 connections of 50 refuses what comes at first, and one
// a minute in the end.
func TestTrialsBecomeRare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &narrow{granted: 2}
		p := n.pool(50, 100)
		c := &callers{pool: p, length: 100 * time.Millisecond}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.run(ctx, 50) })
		time.Sleep(time.Second / 2)
		if limit, _ := p.connections(); limit != 2 || n.refusals() != 48 {
			t.Errorf("after half a second: limit %d, %d refusals, want 2, and 48 of 50 that dialed", limit, n.refusals())
		}
		time.Sleep(5 * time.Minute)
		before := n.refusals()
		time.Sleep(10 * time.Minute)
		if got := n.refusals() - before; got < 9 || got > 11 {
			t.Errorf("%d refusals in ten minutes, want one a minute", got)
		}
		stop()
		wg.Wait()
		n.wg.Wait()
	})
}

// Where nobody of ours is let in, that is an outage and not a limit; and what
// was a limit before is none when the server is back.
func TestNobodyLetInIsAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &narrow{}
		p := n.pool(10, 100)
		c := &callers{pool: p, length: 10 * time.Millisecond}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.run(ctx, 10) })
		for _, granted := range []int{0, 3, 0, 10} {
			n.grant(granted)
			time.Sleep(3 * time.Minute)
			calls, failures := c.counts()
			time.Sleep(time.Minute)
			after, failed := c.counts()
			if works := after > calls; works != (granted > 0) {
				t.Errorf("%d connections granted: %d calls in a minute", granted, after-calls)
			}
			if fails := failed > failures; fails != (granted == 0) {
				t.Errorf("%d connections granted: %d failures in a minute", granted, failed-failures)
			}
		}
		if limit, _ := p.connections(); limit != 10 {
			t.Errorf("limit %d of a server that grants 10", limit)
		}
		stop()
		wg.Wait()
		n.wg.Wait()
	})
}

// Which errors of a set-up may mean one connection too many.
func TestRefusedOne(t *testing.T) {
	t.Parallel()
	reply := func(stage string, code int) error {
		return &email.SetupError{Stage: stage, Reply: email.Reply{Code: code}}
	}
	line := func(stage string, err error) error { return &email.ConnectionError{Stage: stage, Err: err} }
	tests := []struct {
		name            string
		err             error
		atLimit, silent bool
	}{
		{"none", nil, false, false},
		{"421 greeting", reply("greeting", 421), true, false},
		{"450 greeting", reply("greeting", 450), true, false},
		{"554 greeting", reply("greeting", 554), false, false},
		{"421 to EHLO", reply("EHLO", 421), true, false},
		{"421 to AUTH", reply("AUTH", 421), true, false},
		{"454 to AUTH", reply("AUTH", 454), false, false},
		{"535 to AUTH", reply("AUTH", 535), false, false},
		{"TLS", &email.SetupError{Stage: "STARTTLS", Err: errors.New("no STARTTLS")}, false, false},
		{"refused", line("connect", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), true, false},
		{"reset", line("greeting", syscall.ECONNRESET), true, false},
		{"closed", line("greeting", io.EOF), true, false},
		{"closed before TLS", line("TLS", io.EOF), true, false},
		{"closed at AUTH", line("AUTH", io.EOF), false, false},
		{"no answer", line("connect", context.DeadlineExceeded), true, true},
		{"no greeting", line("greeting", os.ErrDeadlineExceeded), true, true},
		{"cut by us", line("connect", context.Canceled), false, false},
		{"host not found", line("connect", &net.DNSError{}), false, false},
	}
	for _, tt := range tests {
		if atLimit, silent := overLimit(tt.err); atLimit != tt.atLimit || silent != tt.silent {
			t.Errorf("%s: refusedOne = %v, %v, want %v, %v", tt.name, atLimit, silent, tt.atLimit, tt.silent)
		}
	}
}
