package smtp

import (
	"context"
	"errors"
	"io"
	"time"

	"messaging-worker/internal/providers/email"
)

// Probe asks whether the server serves us. It uses an idle connection if there
// is one, because another may be more than the server grants, else a new one,
// which it sets up and quits. While the server refuses new connections, as with
// wrong credentials, an idle one that was set up earlier proves nothing: it is
// quit, and a new one is tried.
//
// A new one that is refused while others work is no error. Its errors
// are *email.SetupError and *email.ConnectionError.
func (p *Provider) Probe(ctx context.Context) error {
	for c := p.pool.takeIdle(); c != nil; c = p.pool.takeIdle() {
		if p.setUpFails.Load() {
			p.pool.quitTaken(c)
			break
		}
		switch err := p.noop(ctx, c); {
		case err == nil:
			return nil
		case !closed(err):
			return err
		}
	}
	c, err := p.newConnection(ctx, time.Now().Add(p.opts.Timeout))
	if err != nil {
		_, open := p.pool.connections()
		if atLimit, silent := overLimit(err); atLimit && !silent && open > 0 {
			return nil
		}
		return err
	}
	defer context.AfterFunc(ctx, c.cut)()
	c.quit()
	return nil
}

// noop sends NOOP on an idle connection, and makes it idle again as it was, so
// that probes do not keep it open.
func (p *Provider) noop(ctx context.Context, c *conn) error {
	const stage = email.StageNOOP
	if !c.silent() { // the server closed it, or sent what would be read as the reply
		p.pool.drop(c)
		return &email.ConnectionError{Stage: stage, Err: io.EOF}
	}
	stop := context.AfterFunc(ctx, c.cut)
	c.setDeadline(ctx, time.Now().Add(p.opts.Timeout))
	r, err := c.command(stage)
	c.broken = !stop() || err != nil || !positive(r)
	switch kept := p.pool.putBack(c); {
	case kept:
		return nil
	case err != nil:
		return c.connectionError(ctx, stage, p.opts.Timeout, err)
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

// quitTaken quits a connection that takeIdle returned.
func (p *pool) quitTaken(c *conn) {
	p.mu.Lock()
	p.countClosed()
	p.mu.Unlock()
	c.quit()
}
