package smtp

import (
	"context"
	"net"
	"time"

	"messaging-worker/internal/providers/email"
)

// dial is a connection that is being set up. The call that began it does not
// own it: it takes whatever connection becomes idle first, because a server
// that is slow to greet a new connection may serve the existing ones well.
type dial struct {
	cancel context.CancelFunc
	before uint64 // pool.successes when it began

	// Guarded by pool.mu.
	abandoned bool  // no call waits for it: its call has another connection, or it is a trial
	trial     bool  // one connection more than the server has granted
	done      bool  // the following are final
	c         *conn // nil where there is an error, or alone
	err       error
	panic     any
}

// dial begins to set up a connection. It is called with p.mu held.
func (p *pool) dial(ctx context.Context, deadline time.Time, trial bool) *dial {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &dial{cancel: cancel, before: p.successes, abandoned: trial, trial: trial}
	p.dials[d] = struct{}{}
	if !trial {
		p.dialing++
	}
	p.wg.Go(func() {
		defer cancel()
		// A panic is raised again in the call, where it ends one attempt and not
		// the process.
		defer func() { p.finishDial(d, recover()) }()
		d.c, d.err = p.connect(ctx, deadline)
	})
	return d
}

// finishDial gives the new connection, if there is one, to its call or to the
// idle ones.
func (p *pool) finishDial(d *dial, panicked any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.dials, d)
	d.done, d.panic = true, panicked
	c := d.c
	switch {
	case c == nil:
	case p.closed:
		c.close()
		d.c, d.err = nil, &email.ConnectionError{Stage: email.StageConnect, Err: net.ErrClosed}
	default:
		p.countOpened()
		if d.abandoned {
			d.c = nil
			p.putIdle(c, time.Now())
		}
	}
	if d.trial {
		p.endTrial(c != nil)
	} else {
		p.dialing--
	}
	p.broadcast()
}

// firstConn returns the first connection that a call can have: one that becomes
// idle, or a new one if the limit allows it. The dial is not nil if it has
// failed. Both are nil when ctx ends, or when the limit has allowed no dial for
// a while.
func (p *pool) firstConn(ctx context.Context, deadline time.Time) (*conn, *dial) {
	end := time.Now().Add(min(idleWait, time.Until(deadline)/2))
	var d *dial
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case d != nil && d.panic != nil:
			panic(d.panic)
		case d != nil && d.done:
			return d.c, d
		case len(p.idle) > 0:
			if d != nil {
				d.abandoned = true
			}
			return p.takeIdleLocked(false), nil
		case d == nil && !p.closed && p.open+p.dialing < p.limit:
			d = p.dial(ctx, deadline, false)
			end = deadline.Add(time.Minute) // it ends by deadline
		}
		if !p.waitChange(ctx, time.Until(end)) && (d == nil || !d.done) { // it may be over at the same moment
			if d != nil {
				d.abandoned = true
				d.cancel()
			}
			return nil, nil
		}
	}
}

// waitIdle waits that long for an idle connection, or for one that has served
// a message, and returns nil where none comes.
func (p *pool) waitIdle(ctx context.Context, d time.Duration, proven bool) *conn {
	end := time.Now().Add(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if c := p.takeIdleLocked(proven); c != nil {
			return c
		}
		if !p.waitChange(ctx, time.Until(end)) {
			return nil
		}
	}
}

// broadcast wakes everybody in waitChange. It is called with p.mu held.
func (p *pool) broadcast() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// waitChange waits for the next change of the connections, as wait does.
func (p *pool) waitChange(ctx context.Context, d time.Duration) bool {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.wait(ctx, p.changed, d)
}

// wait waits for done, and returns false when it does not come in that time. It
// is called with p.mu held, and unlocks it meanwhile.
func (p *pool) wait(ctx context.Context, done <-chan struct{}, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return false
	}
	p.mu.Unlock()
	defer p.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
