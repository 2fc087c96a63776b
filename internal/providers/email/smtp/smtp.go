// Package smtp delivers mail through an SMTP server. It speaks SMTP (RFC 5321)
// with pipelining (RFC 2920) over connections that it keeps.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// Values of Options.TLS.
const (
	TLSStart    = "starttls" // STARTTLS, and nothing without it
	TLSImplicit = "tls"      // TLS from the first byte
	TLSNone     = "none"
)

// Values of Options.Auth.
const (
	AuthAuto    = "auto" // the best that the server offers
	AuthPlain   = "plain"
	AuthLogin   = "login"
	AuthCRAMMD5 = "cram-md5"
	AuthXOAUTH2 = "xoauth2" // the password is an access token
	AuthNone    = "none"
)

// Options tell how to reach the server. Host, Port, TLS, Auth, Connections and
// Timeout are required.
type Options struct {
	Host     string // also the name that the server's certificate must have
	Port     int
	TLS      string         // one of the TLS constants
	RootCAs  *x509.CertPool // nil means the system's
	HeloName string         // empty means the host's name, or its address; see util.IsHeloName

	Auth     string                 // one of the Auth constants
	Username string                 // unless AuthNone
	Password func() (string, error) // asked for each connection; unless AuthNone

	Connections int           // at once, at most
	Timeout     time.Duration // of a call, up to the last line of its last transaction
	DataTimeout time.Duration // wait for the reply to the last line; zero means Timeout
	IdleTimeout time.Duration // zero means 25 s
	Messages    int           // on one connection; zero means 100

	DKIM *DKIM // nil means that mail is not signed
}

// Provider is one SMTP server. It is safe for concurrent use.
type Provider struct {
	opts              Options
	address           string
	tls               *tls.Config
	pool              *pool
	messages          messageWriter
	refusedMechanisms sync.Map // names of those that the server offered and refused
	port              port

	queuedForLater func() // nil for none

	setUpFails atomic.Bool // the last new connection was refused in its set-up
}

// New makes a provider. It does not connect.
func New(o Options) (*Provider, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.HeloName = cmp.Or(o.HeloName, hostName(os.Hostname()))
	o.DataTimeout = cmp.Or(o.DataTimeout, o.Timeout)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, maxIdle)
	o.Messages = cmp.Or(o.Messages, maxMessages)
	p := &Provider{
		opts: o, address: net.JoinHostPort(o.Host, strconv.Itoa(o.Port)),
		tls: &tls.Config{
			ServerName: o.Host, RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(o.Connections),
		},
		messages: messageWriter{dkim: o.DKIM}, port: port{asking: make(chan struct{}, 1)},
	}
	p.pool = newPool(&p.opts, p.newConnection)
	return p, nil
}

func (o *Options) validate() error {
	switch {
	case o.Host == "":
		return errors.New("smtp: no host")
	case !slices.Contains([]string{TLSStart, TLSImplicit, TLSNone}, o.TLS):
		return fmt.Errorf("smtp: tls %q", o.TLS)
	case !slices.Contains([]string{AuthAuto, AuthPlain, AuthLogin, AuthCRAMMD5, AuthXOAUTH2, AuthNone}, o.Auth):
		return fmt.Errorf("smtp: auth %q", o.Auth)
	case o.Auth != AuthNone && o.Password == nil:
		return errors.New("smtp: no password")
	case o.Connections < 1 || o.Timeout <= 0:
		return errors.New("smtp: connections and timeout must be above zero")
	case o.HeloName != "" && !util.IsHeloName(o.HeloName):
		return errors.New("smtp: the name for EHLO is neither a domain nor an address literal")
	case o.Messages < 0:
		return errors.New("smtp: messages on a connection must not be below zero")
	}
	return nil
}

// Send holds one conversation for m.Recipients, in further transactions where
// one takes too few of them. Its errors are *email.ReplyError,
// *email.SetupError, *email.ConnectionError, *email.ProtocolError,
// *email.UnsendableError and *email.BusyError, and mean that no recipient is
// known to have the mail and that all failed alike. In a receipt the error may also be
// *email.TimeUpError. Send returns soon after ctx ends.
func (p *Provider) Send(ctx context.Context, m email.Message) (email.Receipt, error) {
	l, err := p.messages.write(&m, false)
	if err != nil {
		return email.Receipt{}, err
	}
	defer p.messages.free(l)
	if err := p.pool.acquire(ctx); err != nil {
		return email.Receipt{}, err
	}
	s := call{p: p, m: &m, msg: &l.wireMessage, deadline: time.Now().Add(p.opts.Timeout)}
	s.send(ctx)
	if s.ascii != nil {
		p.messages.free(s.ascii)
	}
	if len(s.receipt.Failed) == len(m.Recipients) {
		return email.Receipt{}, s.receipt.Err
	}
	return s.receipt, nil
}

// newConnection makes a connection, and records whether the server refuses us.
func (p *Provider) newConnection(ctx context.Context, deadline time.Time) (*conn, error) {
	c, err := p.connect(ctx, deadline)
	_, refused := errors.AsType[*email.SetupError](err)
	if atLimit, _ := overLimit(err); err == nil || refused && !atLimit {
		p.setUpFails.Store(err != nil)
	}
	return c, err
}

// Connections returns how many connections there may be at once, which is
// Options.Connections or as many as the server grants, and how many are open.
func (p *Provider) Connections() (limit, open int) { return p.pool.connections() }

// OnLimit has listen called whenever the number of connections that there may
// be changes, and so how many calls of Send run without waiting. OnLimit is
// called before the first Send. Listen must not call the provider.
func (p *Provider) OnLimit(listen func(connections int)) { p.pool.onLimit = listen }

// OnQueuedForLater has listen called when a reply says that the server leaves a
// message that it accepted to a later queue run. It is called before the first
// Send.
func (p *Provider) OnQueuedForLater(listen func()) { p.queuedForLater = listen }

// Close quits the idle connections, within a second.
func (p *Provider) Close() error {
	p.pool.close()
	return nil
}
