package smtp_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
)

// TestPortOfTheOtherKind has servers that begin with TLS where clear text is
// expected, and the reverse: the error says which setting to change.
func TestPortOfTheOtherKind(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t)
	tlsOnly := func(_ int, c net.Conn) {
		c.SetDeadline(time.Now().Add(patience))
		io.Copy(io.Discard, tls.Server(c, config))
	}
	says := func(text string) func(int, net.Conn) {
		return func(_ int, c net.Conn) {
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, text)
			io.Copy(io.Discard, c)
		}
	}
	tests := []struct {
		name, options string
		server        func(int, net.Conn)
		want          string
	}{
		{"TLS and starttls is set", "tls=starttls", tlsOnly, "set SMTP_TLS=tls"},
		{"TLS and none is set", "tls=none", tlsOnly, "set SMTP_TLS=tls"},
		{"a TLS alert and starttls is set", "tls=starttls", says("\x15\x03\x01\x00\x02\x02\x46"), "set SMTP_TLS=tls"},
		{"clear text and tls is set", "tls=tls", says("220 relay ESMTP\r\n"), "set SMTP_TLS=starttls"},
		{"clear text in lines and tls is set", "tls=tls", says("220-relay ESMTP\r\n220 hello\r\n"), "set SMTP_TLS=starttls"},
		{"a refusal in clear text and tls is set", "tls=tls", says("554 no\r\n"), "set SMTP_TLS=starttls"},
		{"no SMTP and tls is set", "tls=tls", says("HTTP/1.1 400 Bad Request\r\n"), "does not look like a TLS handshake"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := serve(t, tt.server)
			o := options(tt.options)
			o.Port, o.RootCAs = srv.port(), roots
			p := newProvider(t, o)
			defer p.Close()
			resp, err := email.New(p, request.Limits{}, o.Timeout).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
			f := common.Classify(err)
			if f == nil || f.Class != models.FailureTransient || !f.Unreachable || !strings.Contains(f.Error(), tt.want) || resp.Status != models.StatusUnavailable {
				t.Errorf("%+v, %v, want a transient failure with %q", resp, f, tt.want)
			}
		})
	}
}

// TestSlowGreetingIsWaitedFor has a server that is asked whether it speaks TLS
// because it greets late: it does not, and the mail goes out. Once it has
// greeted it is not asked again.
func TestSlowGreetingIsWaitedFor(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	s := &sink{}
	srv := serve(t, func(n int, c net.Conn) {
		switch n {
		case 0, 2:
			<-asked
			s.serve(n, c)
		case 1:
			c.Read(make([]byte, 1)) // of the ClientHello
			close(asked)
			io.Copy(io.Discard, c)
		}
	})
	o := options("")
	o.Port, o.Messages = srv.port(), 1 // so that the probe finds no connection to ask
	p := newProvider(t, o)
	sendAll(t, p, 1, 1)
	if err := p.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	p.Close()
	if total, _ := srv.count(); total != 3 || s.messages.Load() != 1 {
		t.Errorf("%d connections, %d messages, want 3, one of which asks for TLS, and 1", total, s.messages.Load())
	}
}
