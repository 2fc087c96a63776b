package smtp_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	provider "messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/email/smtp"
)

// TestServerMustProveItself has servers that TLS must refuse. That is a fault
// of the set-up, and nothing was said to them.
func TestServerMustProveItself(t *testing.T) {
	t.Parallel()
	good, roots := certificate(t)
	other, otherRoots := certificateFor(t, []string{"other.example"})
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	tests := []struct {
		name   string
		config *tls.Config
		roots  *x509.CertPool
		want   string
	}{
		{"not trusted", good, x509.NewCertPool(), "unknown authority"},
		{"another name", other, otherRoots, "127.0.0.1"},
		{"TLS 1.1", old, roots, "protocol version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			said := make(chan int, 1)
			srv := serve(t, func(_ int, c net.Conn) {
				c.SetDeadline(time.Now().Add(patience))
				n, _ := tls.Server(c, tt.config).Read(make([]byte, 1))
				said <- n
			})
			o := options("tls=tls")
			o.Port, o.RootCAs = srv.port(), tt.roots
			p := newProvider(t, o)
			_, err := email.New(p, request.Limits{}, o.Timeout).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
			f := common.Classify(err)
			if f == nil || f.Class != models.FailureTransient || !f.Unreachable || !strings.Contains(f.Error(), tt.want) {
				t.Errorf("%v, want a transient failure with %q", f, tt.want)
			}
			if n := <-said; n != 0 {
				t.Error("the client spoke to it")
			}
		})
	}
}

// TestNoCredentialsWithoutTLS needs an address of this machine that is not
// loopback.
func TestNoCredentialsWithoutTLS(t *testing.T) {
	t.Parallel()
	host := ""
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			host = ip.IP.String()
		}
	}
	if host == "" {
		t.Skip("this machine has no address but loopback")
	}
	for _, auth := range []string{smtp.AuthAuto, smtp.AuthPlain, smtp.AuthLogin, smtp.AuthCRAMMD5, smtp.AuthXOAUTH2} {
		script := "S: 220 relay\nC: EHLO client.example\nS: 250-relay\nS: 250 AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2\nC: <eof>"
		var fault error
		srv := serveOn(t, host, func(_ int, c net.Conn) { fault = play(c, strings.Split(script, "\n"), nil) })
		o := options("auth=" + auth)
		o.Host, o.Port = host, srv.port()
		p := newProvider(t, o)
		_, err := p.Send(t.Context(), mailOf(newRequest("")))
		if setup, ok := errors.AsType[*provider.SetupError](err); !ok || setup.Stage != "AUTH" {
			t.Errorf("%s: %v, want a SetupError", auth, err)
		}
		srv.stop()
		if fault != nil {
			t.Errorf("%s: %v", auth, fault)
		}
	}
}

// TestPasswordIsAskedForEachConnection lets a secret be rotated.
func TestPasswordIsAskedForEachConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	srv := serve(t, func(n int, c net.Conn) {
		want := base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("\x00user\x00secret%d", n)))
		script := "S: 220 relay\nC: EHLO client.example\nS: 250-relay\nS: 250 AUTH PLAIN\nC: AUTH PLAIN " + want + "\nS: 235 ok\n" + deliver + "S: <close>"
		err := play(c, strings.Split(script, "\n"), nil)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(err))
	})
	asked := 0
	o := options("auth=plain")
	o.Port, o.Password = srv.port(), func() (string, error) {
		asked++
		return fmt.Sprint("secret", asked-1), nil
	}
	p := newProvider(t, o)
	for range 2 {
		if _, err := p.Send(t.Context(), mailOf(newRequest(""))); err != nil {
			t.Errorf("Send: %v", err)
		}
	}
	p.Close()
	srv.stop()
	if fmt.Sprint(seen) != "[<nil> <nil>]" {
		t.Errorf("dialogs: %v", seen)
	}
}
