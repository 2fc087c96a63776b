package smtp

import (
	"context"
	"errors"
	"io"
	"time"

	"messaging-worker/internal/providers/email"
)

// Probe asks whether the server serves us: on an idle connection where there is
// one, since one more may be more than the server grants, else on a new one,
// which greets, authenticates and quits. While the server refuses us, as with
// credentials that it does not take, an idle connection that was let in earlier
// proves nothing, and makes room for a new one.
//
// A new one that is refused while others of ours work is no error. Its errors
// are *email.SetupError and *email.ConnectionError.
func (p *Provider) Probe(ctx context.Context) error {
	for c := p.pool.take(); c != nil; c = p.pool.take() {
		if p.setUpFails.Load() {
			p.pool.discard(c)
			break
		}
		switch err := p.noop(ctx, c); {
		case err == nil:
			return nil
		case !closed(err):
			return err
		}
	}
	c, err := p.fresh(ctx, time.Now().Add(p.timeout))
	if err != nil {
		if atLimit, silent := refusedOne(err); atLimit && !silent && p.pool.works() {
			return nil
		}
		return err
	}
	defer context.AfterFunc(ctx, c.cut)()
	c.quit()
	return nil
}

// noop asks for a sign of life on an idle connection, and makes it idle again
// as it was, so that probes do not keep it open.
func (p *Provider) noop(ctx context.Context, c *conn) error {
	const stage = "NOOP"
	if !c.quiet() { // it hung up, or what it said would be taken for the reply
		p.pool.drop(c)
		return &email.ConnectionError{Stage: stage, Err: io.EOF}
	}
	stop := context.AfterFunc(ctx, c.cut)
	c.until(ctx, time.Now().Add(p.timeout))
	r, err := c.ask(stage)
	if err == nil && positive(r) && stop() && c.usable() && p.pool.keep(c, c.idle) {
		return nil
	}
	stop()
	p.pool.drop(c)
	switch {
	case err != nil:
		return c.lost(ctx, stage, p.timeout, err)
	case !positive(r):
		return &email.SetupError{Stage: stage, Reply: r}
	}
	return &email.ConnectionError{Stage: stage, Err: io.EOF}
}

// closed reports that the server had closed the idle connection, as servers do
// after a while, or closes it now.
func closed(err error) bool {
	if setUp, ok := errors.AsType[*email.SetupError](err); ok {
		return setUp.Reply.Code == 421
	}
	return hungUp(err)
}

// works reports whether a connection is open.
func (p *pool) works() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open > 0
}

// discard quits a connection that was taken.
func (p *pool) discard(c *conn) {
	p.mu.Lock()
	p.gone()
	p.mu.Unlock()
	c.quit()
}
