package smtp

import (
	"context"
	"errors"
	"syscall"
	"time"

	"messaging-worker/internal/providers/email"
)

// A server may limit the connections of one client: it answers 421 to a further
// one (Postfix: smtpd_client_connection_count_limit; Exim:
// smtp_accept_max_per_host), or a firewall refuses it. While other
// connections work that is no outage but a limit, and the pool follows it: it
// shrinks at once to what is open, and from time to time, while all of that is
// in use, tries one more, as Postfix's queue manager does with a destination's
// concurrency. No message waits for a trial.
const (
	trialGranted = 100 * time.Millisecond // to the next trial, after one that was granted
	trialRefused = time.Second            // after the first that was refused; twice that after the next
	trialLongest = time.Minute
)

// A server may be slow to notice that a connection has ended. After one of ours
// has, a call tries again to replace it, and only so many refusals in a row mean
// that the limit is lower.
const (
	closedRecently = time.Second
	firstPause     = 20 * time.Millisecond // doubles with each try
	longestPause   = 320 * time.Millisecond
	mostRefusals   = 5

	idleWait = time.Second // of a call that is refused a connection, for one to become idle
)

// get makes a connection for a call that found none idle, or returns one that
// becomes idle sooner. If the server grants no further one and none becomes
// idle, the error is *email.BusyError.
func (p *pool) get(ctx context.Context, deadline time.Time) (*conn, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		c, d := p.firstConn(ctx, deadline)
		switch {
		case c != nil:
			return c, nil
		case d == nil:
			return nil, p.noConnError(ctx)
		}
		again, err := p.assess(ctx, d, deadline)
		switch {
		case err != nil:
			return nil, err
		case !again:
			return p.waitIdleSoon(ctx, deadline, false)
		}
		if c := p.waitIdle(ctx, pause, false); c != nil {
			return c, nil
		}
	}
}

// waitIdleSoon waits at most idleWait for a connection to become idle. With
// proven it takes only one that has served a message.
func (p *pool) waitIdleSoon(ctx context.Context, deadline time.Time, proven bool) (*conn, error) {
	if c := p.waitIdle(ctx, min(idleWait, time.Until(deadline)/2), proven); c != nil {
		return c, nil
	}
	return nil, p.noConnError(ctx)
}

// noConnError is the error of a call that got no connection.
func (p *pool) noConnError(ctx context.Context) error {
	if ctx.Err() != nil {
		return &email.ConnectionError{Stage: email.StageConnect, Limit: p.opts.Timeout, Err: ctx.Err()}
	}
	return &email.BusyError{}
}

// overLimit reports an error of a set-up by which a server, or a device before
// it, may mean that this is one connection too many: 421 (RFC 5321,
// 3.8; RFC 3463, 3.4.2), a greeting of 4yz, or a connection that is refused or
// closed before the server said anything. Silent says that there was no answer
// at all, which a limit may mean less often than an outage.
func overLimit(err error) (atLimit, silent bool) {
	if setUp, ok := errors.AsType[*email.SetupError](err); ok {
		code := setUp.Reply.Code
		return code == 421 || setUp.Stage == email.StageGreeting && code >= 400 && code < 500, false
	}
	line, ok := errors.AsType[*email.ConnectionError](err)
	if !ok || line.Stage != email.StageConnect && line.Stage != email.StageTLS && line.Stage != email.StageGreeting && line.Stage != email.StageEHLO {
		return false, false
	}
	if errors.Is(err, syscall.ECONNREFUSED) || hungUp(err) {
		return true, false
	}
	silent = isTimeout(err) || errors.Is(err, context.DeadlineExceeded)
	return silent, silent
}

// assess returns the error of a dial unless it means a limit: other connections
// work, and the pool shrinks to them. Again says that the server may not have
// noticed yet that one of them has ended.
func (p *pool) assess(ctx context.Context, d *dial, deadline time.Time) (again bool, err error) {
	atLimit, silent := overLimit(d.err)
	if !atLimit {
		return false, d.err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusals++
	// A refusal comes sooner than a success: the connections that are being set
	// up may be all that the server grants.
	for p.open == 0 && p.dialing > 0 {
		if !p.waitChange(ctx, time.Until(deadline)) {
			return false, d.err
		}
	}
	switch {
	case silent && (p.open == 0 || p.successes == d.before):
		return false, d.err // what is open is silent too
	case time.Since(p.lastClosed) < closedRecently && (p.open == 0 || p.refusals <= mostRefusals) && time.Until(deadline) > longestPause:
		return true, nil
	case p.open == 0:
		return false, d.err
	}
	p.lowerLimit()
	return false, nil
}

// connections returns how many there may be, and how many there are.
func (p *pool) connections() (limit, open int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit, p.open
}

// shrink lowers the limit to the connections that are open, and returns false
// if there are none.
func (p *pool) shrink() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == 0 {
		return false
	}
	p.lowerLimit()
	return true
}

// setLimit is called with p.mu held.
func (p *pool) setLimit(n int) {
	if n == p.limit {
		return
	}
	p.limit = n
	p.grantWaiting()
	if p.onLimit != nil {
		p.onLimit(n)
	}
}

// countOpened counts a connection that was set up. It is called with p.mu held.
func (p *pool) countOpened() {
	p.open++
	p.successes++
	p.refusals = 0
	p.setLimit(max(p.limit, min(p.open, p.opts.Connections)))
}

// lowerLimit lowers the limit to the connections that are open, and puts the
// next trial off. It is called with p.mu held.
func (p *pool) lowerLimit() {
	p.lastTrial = time.Now()
	if p.open < p.limit { // a lower limit than before may be a mistake
		p.interval = trialRefused
	}
	p.interval = max(p.interval, trialRefused)
	p.setLimit(min(p.limit, p.open))
}

// scheduleTrial has one connection more tried when the last refusal is long
// enough ago. It is called with p.mu held, when all slots are taken.
func (p *pool) scheduleTrial() {
	if p.limit >= p.opts.Connections || p.trial != nil || p.closed {
		return
	}
	p.trial = time.AfterFunc(max(0, time.Until(p.lastTrial.Add(p.interval))), p.runTrial)
}

// runTrial makes one connection more than the server has granted.
func (p *pool) runTrial() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.limit >= p.opts.Connections || p.open < p.limit { // calls make what is left of the limit
		p.trial = nil
		return
	}
	p.dial(context.Background(), time.Now().Add(p.opts.Timeout), true)
}

// endTrial is called with p.mu held.
func (p *pool) endTrial(granted bool) {
	p.trial, p.lastTrial = nil, time.Now()
	p.interval = min(max(2*p.interval, trialRefused), trialLongest)
	if granted {
		p.interval = trialGranted
	}
	if p.used >= p.limit {
		p.scheduleTrial()
	}
}
