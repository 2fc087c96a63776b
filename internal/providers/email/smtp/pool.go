package smtp

import (
	"context"
	"sync"
	"time"

	"messaging-worker/internal/providers/email"
)

// What is not worth a setting.
const (
	maxMessages = 250              // on one connection
	maxIdle     = 25 * time.Second // below what servers allow, which is 30 s and more
	quitTimeout = time.Second
)

// pool keeps connections for reuse, the one last used first, so that few are
// kept when there is little to do.
//
// A call holds a slot from before it has a connection until after it has given
// it back, and makes a new connection only when none is idle; so there are
// never more connections than slots. One that is quit keeps its call's slot.
type pool struct {
	slots   chan struct{} // one for each connection that may be
	idleFor time.Duration

	mu     sync.Mutex
	idle   []*conn // the last one was used last
	timer  *time.Timer
	closed bool
	wg     sync.WaitGroup // of connections being quit
}

func newPool(size int, idleFor time.Duration) *pool {
	return &pool{slots: make(chan struct{}, size), idleFor: idleFor}
}

// enter waits for a slot.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &email.LineError{Stage: "connect", Err: ctx.Err()}
	}
}

func (p *pool) leave() { <-p.slots }

// take returns an idle connection, nil where there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	c.reused = true
	return c
}

// give takes a connection back, and leaves the slot of its call.
func (p *pool) give(c *conn) {
	switch {
	case !c.usable():
		c.close()
		p.leave()
	case c.served >= maxMessages || !p.keep(c):
		p.retire(c)
	default:
		p.leave()
	}
}

// keep makes c idle, and returns false when the pool is closed.
func (p *pool) keep(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.idle = time.Now()
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idleFor, p.sweep)
	}
	return true
}

// retire quits c without keeping its call waiting, then leaves the slot.
func (p *pool) retire(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // nobody would wait for it
		c.close()
		p.leave()
		return
	}
	p.wg.Go(func() {
		c.quit()
		p.leave()
	})
}

// sweep quits the connections that were idle for too long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if p.closed {
		return
	}
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].idle) >= p.idleFor {
		p.quit(p.idle[old])
		old++
	}
	p.idle = append(p.idle[:0:0], p.idle[old:]...)
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(p.idleFor-time.Since(p.idle[0].idle), p.sweep)
	}
}

// quit says goodbye to an idle connection, in a slot where one is free: there
// is, unless a call that found it idle a moment ago has just taken the last.
func (p *pool) quit(c *conn) {
	free := func() {}
	select {
	case p.slots <- struct{}{}:
		free = p.leave
	default:
	}
	p.wg.Go(func() {
		c.quit()
		free()
	})
}

// close quits all idle connections and waits for that, which takes at most
// quitTimeout. What is in use is closed when it is given back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, c := range p.idle {
		p.wg.Go(func() { c.quit() })
	}
	p.idle = nil
	p.mu.Unlock()
	p.wg.Wait()
}
