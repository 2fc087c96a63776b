package smtp

import (
	"context"
	"net"
	"time"

	"messaging-worker/internal/providers/email"
)

// dial is a connection that is being set up. It is not the call's that began
// it: that goes on with any connection that becomes idle first, for a server
// that is slow to greet one more may serve those it has well.
type dial struct {
	cancel context.CancelFunc
	before uint64 // what pool.answers was when it began

	// Below pool.mu.
	alone bool  // its call has gone on without it, or it is a trial
	trial bool  // one connection more than the server has granted
	over  bool  // the following are final
	c     *conn // nil where there is an error, or alone
	err   error
	panic any
}

// dial begins to set up a connection. It is called with p.mu held.
func (p *pool) dial(ctx context.Context, deadline time.Time) *dial {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &dial{cancel: cancel, before: p.answers}
	p.dials[d] = struct{}{}
	p.wg.Go(func() {
		defer cancel()
		p.run(ctx, d, deadline)
	})
	return d
}

func (p *pool) run(ctx context.Context, d *dial, deadline time.Time) {
	defer func() {
		caught := recover() // it is the call's: there it ends one attempt, here the process
		p.mu.Lock()
		defer p.mu.Unlock()
		d.over, d.panic = true, caught
		delete(p.dials, d)
		p.settle(d)
		p.wake()
	}()
	d.c, d.err = p.connect(ctx, deadline)
}

// settle says whose the connection is that a dial has made, where it has. It is
// called with p.mu held.
func (p *pool) settle(d *dial) {
	c := d.c
	switch {
	case c == nil:
	case p.closed:
		c.close()
		d.c, d.err = nil, &email.ConnectionError{Stage: "connect", Err: net.ErrClosed}
	default:
		p.granted()
		if d.alone {
			d.c = nil
			p.push(c, time.Now())
		}
	}
	if d.trial {
		p.triedOne(c != nil)
	}
}

// dialing returns how many connections are being set up for calls. It is called
// with p.mu held.
func (p *pool) dialing() (n int) {
	for d := range p.dials {
		if !d.trial {
			n++
		}
	}
	return n
}

// first returns the first connection that a call can have: one that becomes
// idle, or a new one, where the limit leaves room for that. The dial is not nil
// where it has failed. Both are nil when ctx ends, or when there was room for
// no dial for a while.
func (p *pool) first(ctx context.Context, deadline time.Time) (*conn, *dial) {
	end := time.Now().Add(min(soon, time.Until(deadline)/2))
	var d *dial
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case d != nil && d.panic != nil:
			panic(d.panic)
		case d != nil && d.over:
			return d.c, d
		case len(p.idle) > 0:
			if d != nil {
				d.alone = true
			}
			return p.pop(false), nil
		case d == nil && !p.closed && p.open+p.dialing() < p.limit:
			d = p.dial(ctx, deadline)
			end = deadline.Add(time.Minute) // it ends by deadline
		}
		switch {
		case p.waitChange(ctx, time.Until(end)), d != nil && d.over: // it may be over at the same moment
		case d != nil:
			d.alone = true
			d.cancel()
			return nil, nil
		default:
			return nil, nil
		}
	}
}

// idleWithin waits that long for an idle connection, or for one that has served
// a message, and returns nil where none comes.
func (p *pool) idleWithin(ctx context.Context, d time.Duration, proven bool) *conn {
	end := time.Now().Add(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if c := p.pop(proven); c != nil {
			return c
		}
		if !p.waitChange(ctx, time.Until(end)) {
			return nil
		}
	}
}

// wake tells those who wait that something has changed. It is called with p.mu
// held.
func (p *pool) wake() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// waitChange waits for the next change of the connections, and returns false
// when none comes in that time. It is called with p.mu held, and gives it up
// meanwhile.
func (p *pool) waitChange(ctx context.Context, d time.Duration) bool {
	if d <= 0 || ctx.Err() != nil {
		return false
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
