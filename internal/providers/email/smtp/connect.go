package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"messaging-worker/internal/providers/email"
)

// connect makes a connection that is ready for MAIL, or fails by deadline.
// The error is *email.ConnectionError or *email.SetupError.
func (p *Provider) connect(ctx context.Context, deadline time.Time) (*conn, error) {
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(dialing, "tcp", p.address)
	if err != nil {
		return nil, &email.ConnectionError{Stage: email.StageConnect, Limit: p.opts.Timeout, Err: dialError(dialing, err)}
	}
	c := newConn(raw)
	stop := context.AfterFunc(ctx, c.cut)
	c.setDeadline(ctx, deadline)
	err = p.open(dialing, c)
	if !stop() && err == nil {
		err = &email.ConnectionError{Stage: email.StageConnect, Err: ctx.Err()}
	}
	if err != nil {
		c.close()
		if c.retryConnect {
			return p.connect(ctx, deadline)
		}
		return nil, err
	}
	return c, nil
}

// dialError prefers the context's error: the dialer has one of its own for a
// deadline.
func dialError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// open takes a new connection through greeting, EHLO, TLS and AUTH.
func (p *Provider) open(ctx context.Context, c *conn) error {
	if p.opts.TLS == TLSImplicit {
		if err := p.handshake(ctx, c, email.StageTLS); err != nil {
			return err
		}
	}
	if err := p.greeting(ctx, c); err != nil {
		return err
	}
	if err := p.hello(ctx, c); err != nil {
		return err
	}
	if p.opts.TLS == TLSStart {
		if err := p.startTLS(ctx, c); err != nil {
			return err
		}
	}
	return p.authenticate(ctx, c)
}

// checkReply returns nil for a positive reply to a step of the set-up, else the
// step's error.
func (p *Provider) checkReply(ctx context.Context, c *conn, stage string, r email.Reply, err error) error {
	switch {
	case errors.Is(err, errProtocol) && ctx.Err() == nil:
		if came, ok := errors.AsType[*unreadable](err); ok && stage == email.StageGreeting { // shows what listens there
			err = fmt.Errorf("%w: %q", errProtocol, came.text)
		}
		return &email.SetupError{Stage: stage, Err: err}
	case err != nil:
		return c.connectionError(ctx, stage, p.opts.Timeout, err)
	case !positive(r):
		return &email.SetupError{Stage: stage, Reply: r}
	}
	return nil
}

// hello sends EHLO, and HELO to a server that does not know it (RFC 5321,
// 4.1.4: 500 or 502).
func (p *Provider) hello(ctx context.Context, c *conn) error {
	c.offers = offers{}
	c.queue("EHLO ", p.heloName(c.raw.LocalAddr()))
	err := c.flush()
	var r email.Reply
	if err == nil {
		first := true
		r, err = c.readReplyLines(func(text []byte) {
			if !first { // the first line is the server's name
				c.offers.add(string(text))
			}
			first = false
		})
	}
	if err == nil && (r.Code == 500 || r.Code == 502) {
		c.offers = offers{}
		r, err = c.command("HELO ", p.heloName(c.raw.LocalAddr()))
	}
	return p.checkReply(ctx, c, email.StageEHLO, r, err)
}

// add records one EHLO keyword with its parameters.
func (o *offers) add(text string) {
	words := strings.Fields(strings.ToUpper(text))
	if len(words) == 0 {
		return
	}
	keyword, parameters := words[0], words[1:]
	switch keyword {
	case "PIPELINING":
		o.pipelining = true
	case "8BITMIME":
		o.eightBitMIME = true
	case "SMTPUTF8":
		o.smtpUTF8 = true
	case "STARTTLS":
		o.startTLS = true
	case "SIZE":
		// RFC 1870, 3: without a number, or with 0, there is no fixed limit.
		if len(parameters) > 0 {
			if n, err := strconv.ParseInt(parameters[0], 10, 64); err == nil && n > 0 {
				o.size = n
			}
		}
	case "AUTH":
		o.auth = append(o.auth, parameters...)
	}
	if mechanism, old := strings.CutPrefix(keyword, "AUTH="); old { // from before RFC 2554
		o.auth = append(append(o.auth, mechanism), parameters...)
	}
}

// startTLS puts the connection under TLS or fails: nothing else is sent in
// clear text.
func (p *Provider) startTLS(ctx context.Context, c *conn) error {
	const stage = email.StageSTARTTLS
	if !c.offers.startTLS {
		return &email.SetupError{Stage: stage, Err: errors.New("the server does not offer STARTTLS")}
	}
	r, err := c.command(stage)
	if err := p.checkReply(ctx, c, stage, r, err); err != nil {
		return err
	}
	if c.in.Buffered() > 0 {
		// Somebody on the path injected replies, to be read as the server's
		// under TLS.
		return &email.SetupError{Stage: stage, Err: errors.New("clear text behind the reply to STARTTLS")}
	}
	if err := p.handshake(ctx, c, stage); err != nil {
		return err
	}
	return p.hello(ctx, c) // what was offered in clear text must be discarded (RFC 3207, 4.2)
}

func (p *Provider) handshake(ctx context.Context, c *conn, stage string) error {
	secured := tls.Client(c.raw, p.tls)
	if err := secured.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil || brokeOff(err) {
			return c.connectionError(ctx, stage, p.opts.Timeout, err)
		}
		if p.opts.TLS == TLSImplicit && inClearText(err) {
			err = errors.New(wantsStartTLS)
		}
		return &email.SetupError{Stage: stage, Err: err}
	}
	c.stream, c.secure = secured, true
	c.in = bufio.NewReaderSize(secured, maxLine)
	return nil
}

// brokeOff reports an error of the network and not of TLS.
func brokeOff(err error) bool { return isTimeout(err) || hungUp(err) }

// hungUp reports that the server, or a device before it, has closed the
// connection.
func hungUp(err error) bool {
	return slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE}, func(end error) bool {
		return errors.Is(err, end)
	})
}
