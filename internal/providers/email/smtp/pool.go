package smtp

import (
	"context"
	"slices"
	"sync"
	"time"

	"messaging-worker/internal/providers/email"
)

// What is not worth a setting.
const (
	maxMessages = 100              // on one connection, where Options do not say
	maxIdle     = 25 * time.Second // below what servers allow, which is 30 s and more
	quitTimeout = time.Second
	maxWait     = 2 * time.Second // for a slot: longer than a QUIT takes
)

// pool keeps connections for reuse, the one last used first, so that few are
// kept when there is little to do.
//
// A call holds a slot from before it has a connection until after it has given
// it back, and makes a new connection only when none is idle; so there are
// never more connections than slots. One that is quit keeps its call's slot.
//
// There are as many slots as Options.Connections, or as the server grants
// connections where those are fewer (limit.go).
type pool struct {
	size     int                   // slots, at most
	messages int                   // on one connection
	idleFor  time.Duration         // until an idle connection is quit
	timeout  time.Duration         // of a trial
	onLimit  func(connections int) // nil for nobody who would listen

	// connect makes a connection that is ready for MAIL, or fails by deadline.
	connect func(ctx context.Context, deadline time.Time) (*conn, error)

	mu      sync.Mutex
	used    int             // slots that are taken
	queue   []chan struct{} // calls that wait for a slot, in the order of asking
	idle    []*conn         // the last one was used last
	timer   *time.Timer     // quits idle connections
	changed chan struct{}   // closed at the next change of the connections; nil while nobody waits
	closed  bool
	wg      sync.WaitGroup // of connections that are being quit or set up

	limit    int                // slots that may be taken
	open     int                // connections that are set up and not given up
	dials    map[*dial]struct{} // connections that are being set up
	answers  uint64             // how often a connection was set up, or came back from a call in order
	refusals int                // of connections, since one was set up
	ended    time.Time          // when the last connection was given up
	trial    *time.Timer        // tries one connection more; nil while none is due
	tried    time.Time          // when the server last had the chance to refuse one
	interval time.Duration      // from then to the next trial
}

func newPool(size int, connect func(context.Context, time.Time) (*conn, error)) *pool {
	return &pool{
		size: size, limit: size, messages: maxMessages, idleFor: maxIdle, timeout: maxIdle,
		connect: connect, interval: trialGranted, dials: map[*dial]struct{}{},
	}
}

// enter waits for a slot, but not for long: whoever has it may need all the
// time of a call. The error is then *email.BusyError.
func (p *pool) enter(ctx context.Context) error {
	p.mu.Lock()
	if p.used < p.limit && len(p.queue) == 0 {
		p.hold()
		p.mu.Unlock()
		return nil
	}
	granted := make(chan struct{})
	p.queue = append(p.queue, granted)
	p.mu.Unlock()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case <-granted:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.queue, granted)
	if i < 0 { // the slot came at the same moment: it is ours
		return nil
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	if ctx.Err() != nil {
		return &email.ConnectionError{Stage: "connect", Err: ctx.Err()}
	}
	return &email.BusyError{}
}

// hold takes a slot. It is called with p.mu held.
func (p *pool) hold() {
	p.used++
	if p.used >= p.limit {
		p.plan()
	}
}

// leave gives a slot back.
func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	p.grant()
}

// grant hands free slots on. It is called with p.mu held.
func (p *pool) grant() {
	for p.used < p.limit && len(p.queue) > 0 {
		close(p.queue[0])
		p.queue = slices.Delete(p.queue, 0, 1)
		p.hold()
	}
}

// take returns an idle connection, nil where there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pop(false)
}

// pop is take with p.mu held. Proven asks for one that has served a message.
func (p *pool) pop(proven bool) *conn {
	for i, c := range slices.Backward(p.idle) {
		if c.served > 0 || !proven {
			p.idle = slices.Delete(p.idle, i, i+1)
			c.reused = true
			return c
		}
	}
	return nil
}

// give takes a connection back, and leaves the slot of its call.
func (p *pool) give(c *conn) {
	switch {
	case !c.usable():
		p.drop(c)
		p.leave()
	case c.served >= p.messages || !p.keep(c, time.Now()):
		p.retire(c)
	default:
		p.leave()
	}
}

// keep makes c idle since then, and returns false when the pool is closed.
func (p *pool) keep(c *conn, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.answers++
	p.push(c, since)
	return true
}

// push is keep with p.mu held.
func (p *pool) push(c *conn, since time.Time) {
	c.idle = since
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idleFor, p.sweep)
	}
	p.wake()
}

// drop closes a connection without a word.
func (p *pool) drop(c *conn) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone()
}

// gone counts a connection that is given up. It is called with p.mu held.
func (p *pool) gone() {
	p.open--
	p.ended = time.Now()
	p.wake()
}

// retire quits c without keeping its call waiting, then leaves the slot.
func (p *pool) retire(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone()
	if p.closed { // nobody would wait for it
		c.close()
		p.used--
		p.grant()
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
// is, unless a call that found it idle a moment ago has just taken the last. It
// is called with p.mu held.
func (p *pool) quit(c *conn) {
	p.gone()
	free := func() {}
	if p.used < p.limit {
		p.used++
		free = p.leave
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
	for _, t := range []*time.Timer{p.timer, p.trial} {
		if t != nil {
			t.Stop()
		}
	}
	for d := range p.dials {
		d.cancel()
	}
	for _, c := range p.idle {
		p.gone()
		p.wg.Go(func() { c.quit() })
	}
	p.idle = nil
	p.mu.Unlock()
	p.wg.Wait()
}
