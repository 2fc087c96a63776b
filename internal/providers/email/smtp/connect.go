package smtp

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// connect makes a connection that is ready for MAIL, or fails by deadline.
// The error is *email.ConnectionError or *email.SetupError.
func (p *Provider) connect(ctx context.Context, deadline time.Time) (*conn, error) {
	dialing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(dialing, "tcp", p.address)
	if err != nil {
		err = cmp.Or(dialing.Err(), err) // the dialer has an error of its own for a deadline
		return nil, &email.ConnectionError{Stage: email.StageConnect, Limit: p.opts.Timeout, Err: err}
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
		lines := 0
		r, err = c.readPipelined(0, func(text []byte) {
			if lines++; lines > 1 { // the first line is the server's name
				c.offers.add(string(text))
			}
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
		if timedOut(ctx, err) || hungUp(err) {
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

// hostName returns the host's name where servers take it in EHLO, else "":
// many want a fully qualified name (Postfix reject_non_fqdn_helo_hostname), and
// a name that is no domain is none for SMTP either.
func hostName(name string, err error) string {
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") || !util.IsHeloName(name) {
		return ""
	}
	return name
}

// heloName is the name in EHLO and HELO on a connection from local. Without a
// fully qualified name it is the address literal (RFC 5321, 4.1.4).
func (p *Provider) heloName(local net.Addr) string {
	if p.opts.HeloName != "" {
		return p.opts.HeloName
	}
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return "localhost"
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}
