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

// pool keeps connections for reuse. The one used last is taken first, so that
// few stay open when there is little to do.
//
// A call holds a slot from before it has a connection until after it has given
// it back, and makes a new connection only when none is idle; so there are
// never more connections than slots. A connection that is being quit keeps its
// call's slot.
//
// There are as many slots as Options.Connections, or as the server grants
// connections where those are fewer (limit.go).
type pool struct {
	size     int                   // slots, at most
	messages int                   // on one connection
	idleFor  time.Duration         // until an idle connection is quit
	timeout  time.Duration         // of a trial
	onLimit  func(connections int) // nil for none

	// connect makes a connection that is ready for MAIL, or fails by deadline.
	connect func(ctx context.Context, deadline time.Time) (*conn, error)

	mu      sync.Mutex
	used    int             // slots that are taken
	queue   []chan struct{} // calls that wait for a slot, in the order of asking
	idle    []*conn         // ascending by last use
	timer   *time.Timer     // quits idle connections
	changed chan struct{}   // closed at the next change of the connections; nil while nobody waits
	closed  bool
	wg      sync.WaitGroup // of connections that are being quit or set up

	limit      int                // slots that may be taken
	open       int                // connections that are set up and not given up
	dials      map[*dial]struct{} // connections that are being set up
	successes  uint64             // connections set up, or returned usable by a call, so far
	refusals   int                // of connections, since one was set up
	lastClosed time.Time          // when the last connection was given up
	trial      *time.Timer        // tries one connection more; nil while none is due
	lastTrial  time.Time          // when the server last had the chance to refuse one
	interval   time.Duration      // from then to the next trial
}

func newPool(size int, connect func(context.Context, time.Time) (*conn, error)) *pool {
	return &pool{
		size: size, limit: size, messages: maxMessages, idleFor: maxIdle, timeout: maxIdle,
		connect: connect, interval: trialGranted, dials: map[*dial]struct{}{},
	}
}

// acquire takes a slot, or waits up to maxWait for one: a call may hold its slot
// much longer. The error is then *email.BusyError.
func (p *pool) acquire(ctx context.Context) error {
	p.mu.Lock()
	if p.used < p.limit && len(p.queue) == 0 {
		p.takeSlot()
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
	if i < 0 { // it was granted at the same moment
		return nil
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	if ctx.Err() != nil {
		return &email.ConnectionError{Stage: email.StageConnect, Err: ctx.Err()}
	}
	return &email.BusyError{}
}

// takeSlot is called with p.mu held.
func (p *pool) takeSlot() {
	p.used++
	if p.used >= p.limit {
		p.scheduleTrial()
	}
}

// release gives a slot back.
func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	p.grantWaiting()
}

// grantWaiting gives free slots to the calls that wait. It is called with p.mu
// held.
func (p *pool) grantWaiting() {
	for p.used < p.limit && len(p.queue) > 0 {
		close(p.queue[0])
		p.queue = slices.Delete(p.queue, 0, 1)
		p.takeSlot()
	}
}

// takeIdle returns an idle connection, or nil.
func (p *pool) takeIdle() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeIdleLocked(false)
}

// takeIdleLocked is takeIdle with p.mu held. With proven it takes only a
// connection that has served a message.
func (p *pool) takeIdleLocked(proven bool) *conn {
	for i, c := range slices.Backward(p.idle) {
		if c.served > 0 || !proven {
			p.idle = slices.Delete(p.idle, i, i+1)
			c.reused = true
			return c
		}
	}
	return nil
}

// put takes a connection back and releases the slot of its call.
func (p *pool) put(c *conn) {
	switch {
	case !c.usable():
		p.drop(c)
		p.release()
	case c.served >= p.messages || !p.putIdle(c, time.Now()):
		p.retire(c)
	default:
		p.release()
	}
}

// putIdle makes c idle since then, and returns false when the pool is closed.
func (p *pool) putIdle(c *conn, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.successes++
	p.putIdleLocked(c, since)
	return true
}

// putIdleLocked is putIdle with p.mu held.
func (p *pool) putIdleLocked(c *conn, since time.Time) {
	c.idle = since
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.idleFor, p.sweep)
	}
	p.broadcast()
}

// drop closes a connection without QUIT.
func (p *pool) drop(c *conn) {
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.countClosed()
}

// countClosed counts a connection that is given up. It is called with p.mu held.
func (p *pool) countClosed() {
	p.open--
	p.lastClosed = time.Now()
	p.broadcast()
}

// retire quits c in the background, then releases the slot of its call.
func (p *pool) retire(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.countClosed()
	if p.closed { // close would not wait for it
		c.close()
		p.used--
		p.grantWaiting()
		return
	}
	p.wg.Go(func() {
		c.quit()
		p.release()
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

// quit quits an idle connection, in a slot if one is free: there is one, unless
// a call that found the connection idle a moment ago has just taken the last.
// It is called with p.mu held.
func (p *pool) quit(c *conn) {
	p.countClosed()
	free := func() {}
	if p.used < p.limit {
		p.used++
		free = p.release
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
		p.countClosed()
		p.wg.Go(func() { c.quit() })
	}
	p.idle = nil
	p.mu.Unlock()
	p.wg.Wait()
}
