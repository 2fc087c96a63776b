package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"messaging-worker/internal/providers/email"
)

// What is wrong where the port does not begin TLS as SMTP_TLS says.
const (
	wantsTLS      = "the server speaks TLS from the first byte: set SMTP_TLS=tls, or SMTP_PORT to a port with STARTTLS (587)"
	wantsStartTLS = "the server greets in clear text: set SMTP_TLS=starttls, or SMTP_PORT to a port with TLS from the first byte (465)"
)

// askForTLS is how long to wait for a greeting before a second connection tests
// whether the port speaks TLS from the first byte: such a server is silent until
// the client begins. Half the time limit where that is less.
const askForTLS = 2 * time.Second

// Types of TLS records that a server begins with (RFC 8446, 5.1).
const (
	recordAlert     = 0x15
	recordHandshake = 0x16
)

// port is what is known of how conversations on the server's port begin.
type port struct {
	greeted atomic.Bool // the server has greeted once

	asking chan struct{} // a lock: its holder tests the port and owns the fields below
	tls    bool          // result of the last test
	asked  time.Time     // time of the last test
}

// greeting reads the server's greeting. If none comes for a while on a port that
// has never greeted, it tests whether the port wants TLS first.
func (p *Provider) greeting(ctx context.Context, c *conn) error {
	const stage = email.StageGreeting
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	if !c.secure && !p.port.greeted.Load() {
		silence := min(askForTLS, time.Until(c.deadlineAt)/2)
		found := make(chan bool, 1)
		timer := time.AfterFunc(silence, func() {
			yes := p.speaksTLS(asking)
			if yes {
				c.cut()
			}
			found <- yes
		})
		first, err := c.in.Peek(1)
		cancel()
		tlsOnly := !timer.Stop() && <-found
		if tlsOnly || err == nil && (first[0] == recordAlert || first[0] == recordHandshake) {
			return &email.SetupError{Stage: stage, Err: errors.New(wantsTLS)}
		}
	}
	r, err := c.readReply()
	if err == nil {
		p.port.greeted.Store(true)
	}
	return p.checkReply(ctx, c, stage, r, err)
}

// speaksTLS tests the port on a connection of its own, or returns the result
// that another call has just had. Only a ClientHello is sent, so the certificate
// does not matter.
func (p *Provider) speaksTLS(ctx context.Context) bool {
	select {
	case p.port.asking <- struct{}{}:
		defer func() { <-p.port.asking }()
	case <-ctx.Done():
		return false
	}
	if time.Since(p.port.asked) < askForTLS {
		return p.port.tls
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return false
	}
	defer raw.Close()
	config := p.tls.Clone()
	config.ClientSessionCache = nil
	config.InsecureSkipVerify = true
	err = tls.Client(raw, config).HandshakeContext(ctx)
	_, alert := errors.AsType[tls.AlertError](err)
	if ctx.Err() == nil {
		p.port.tls, p.port.asked = err == nil || alert, time.Now()
	}
	return err == nil || alert
}

// inClearText reports what a handshake meets where the server greets or
// answers in clear text: a line of SMTP in the place of a record.
func inClearText(err error) bool {
	record, ok := errors.AsType[tls.RecordHeaderError](err)
	if !ok {
		return false
	}
	code, _, _ := splitLine(record.RecordHeader[:4])
	return code != 0
}
