package smtp

import (
	"context"
	"slices"
	"sync"
	"time"
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
	opts    *Options              // Connections is the number of slots, at most; Timeout is that of a trial
	onLimit func(connections int) // nil for none

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
	dialing    int                // those for calls, without the trial
	successes  uint64             // connections set up, or returned usable by a call, so far
	refusals   int                // of connections, since one was set up
	lastClosed time.Time          // when the last connection was given up
	trial      *time.Timer        // tries one connection more; nil while none is due
	lastTrial  time.Time          // when the server last had the chance to refuse one
	interval   time.Duration      // from then to the next trial
}

func newPool(o *Options, connect func(context.Context, time.Time) (*conn, error)) *pool {
	return &pool{opts: o, limit: o.Connections, connect: connect, interval: trialGranted, dials: map[*dial]struct{}{}}
}

// acquire takes a slot, or waits up to maxWait for one: a call may hold its slot
// much longer. The error is then *email.BusyError.
func (p *pool) acquire(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used < p.limit && len(p.queue) == 0 {
		p.takeSlot()
		return nil
	}
	granted := make(chan struct{})
	p.queue = append(p.queue, granted)
	p.wait(ctx, granted, maxWait)
	i := slices.Index(p.queue, granted)
	if i < 0 { // it was granted, at the last moment perhaps
		return nil
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	return p.noConnError(ctx)
}

// takeSlot is called with p.mu held.
func (p *pool) takeSlot() {
	p.used++
	if p.used >= p.limit {
		p.scheduleTrial()
	}
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

// put releases the slot of a call and takes its connection back; nil is none.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used--
	switch {
	case c == nil:
	case c.served >= p.opts.Messages && c.usable() && !p.closed:
		p.quit(c)
	default:
		p.keep(c, time.Now())
	}
	p.grantWaiting()
}

// putBack makes a connection that takeIdle returned idle again as it was, or
// does as keep does.
func (p *pool) putBack(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keep(c, c.idle)
}

// keep makes c idle since then; if no other call can use it, keep closes it and
// returns false. It is called with p.mu held.
func (p *pool) keep(c *conn, since time.Time) bool {
	if p.closed || !c.usable() {
		c.close()
		p.countClosed()
		return false
	}
	p.successes++
	p.putIdle(c, since)
	return true
}

// putIdle is called with p.mu held.
func (p *pool) putIdle(c *conn, since time.Time) {
	c.idle = since
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.opts.IdleTimeout, p.sweep)
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

// sweep quits the connections that were idle for too long.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	for len(p.idle) > 0 {
		left := p.opts.IdleTimeout - time.Since(p.idle[0].idle)
		if left > 0 {
			p.timer = time.AfterFunc(left, p.sweep)
			return
		}
		p.quit(p.idle[0])
		p.idle = slices.Delete(p.idle, 0, 1)
	}
}

// quit quits a connection in the background, in a slot if one is free: for an
// idle one there is, unless a call that found it idle a moment ago has just
// taken the last. It is called with p.mu held.
func (p *pool) quit(c *conn) {
	p.countClosed()
	free := func() {}
	if p.used < p.limit {
		p.used++
		free = func() { p.put(nil) }
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
		p.quit(c)
	}
	p.idle = nil
	p.mu.Unlock()
	p.wg.Wait()
}
