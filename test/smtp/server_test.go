// Package smtp_test holds the email channel to real conversations: scripted
// ones, servers that stall, and Postfix where it is installed.
package smtp_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"messaging-worker/internal/providers/email/smtp"
)

// patience is how long a test waits for what must come. Nothing is concluded
// from it but failure.
const patience = time.Minute

// server listens on loopback and serves each connection with serve, which is
// given the connection's number from 0.
type server struct {
	net.Listener

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
	peak  int // connections open at once
	open  int
}

func serve(tb testing.TB, handle func(n int, c net.Conn)) *server {
	tb.Helper()
	return serveOn(tb, "127.0.0.1", handle)
}

func serveOn(tb testing.TB, host string, handle func(n int, c net.Conn)) *server {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{Listener: l}
	s.wg.Go(func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.begin(c)
			s.wg.Go(func() {
				defer s.end(c)
				handle(n, c)
			})
		}
	})
	tb.Cleanup(s.stop)
	return s
}

func (s *server) begin(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	s.open++
	s.peak = max(s.peak, s.open)
}

func (s *server) end(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// count returns how many connections there were, and at once.
func (s *server) count() (total, peak int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.peak
}

// rest waits until all connections have come to their own ends: a client may
// hang up before the server has read its last word.
func (s *server) rest() {
	s.Close()
	s.wg.Wait()
}

// stop ends everything, also what hangs.
func (s *server) stop() {
	s.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) port() int { return s.Addr().(*net.TCPAddr).Port }

// options are the usual ones, with the server's port.
func (s *server) options() smtp.Options {
	o := options("")
	o.Port = s.port()
	return o
}

// play goes through one dialog: lines "C: pattern" are what must come, where *
// stands for anything and <message> for all lines up to a lone dot; lines
// "S: text" are answered. "S: <close>" hangs up, "S: <reset>" does so with a
// TCP reset, "S: <tls>" goes under TLS, answers in a row go out in one write, "C: <eof>" is the client hanging up.
// When the script is over, QUIT is answered and nothing else is allowed.
func play(c net.Conn, script []string, config *tls.Config) error {
	c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	var out strings.Builder // what is answered in one write
	for i, line := range script {
		kind, text, _ := strings.Cut(line, ":")
		text = strings.TrimPrefix(text, " ")
		if kind == "C" {
			if err := expect(in, text); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			continue
		}
		if n := in.Buffered(); n > 0 && out.Len() == 0 {
			rest, _ := in.Peek(n)
			return fmt.Errorf("line %d: the client goes on with %q before it is answered %q", i+1, rest, text)
		}
		switch text {
		case "<close>", "<silence>":
			return nil
		case "<reset>":
			return c.(*net.TCPConn).SetLinger(0)
		case "<tls>":
			secured := tls.Server(c, config)
			if err := secured.Handshake(); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			c, in = secured, bufio.NewReader(secured)
			continue
		}
		out.WriteString(text + "\r\n")
		if i+1 < len(script) && strings.HasPrefix(script[i+1], "S: ") && !strings.HasPrefix(script[i+1], "S: <") {
			continue
		}
		if _, err := io.WriteString(c, out.String()); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		out.Reset()
	}
	return farewell(c, in)
}

// farewell waits for QUIT or the end.
func farewell(c net.Conn, in *bufio.Reader) error {
	line, _ := in.ReadString('\n') // nothing, when the client hung up
	switch line {
	case "":
	case "QUIT\r\n":
		_, _ = io.WriteString(c, "221 2.0.0 bye\r\n")
	default:
		return fmt.Errorf("unexpected %q at the end", line)
	}
	return nil
}

func expect(in *bufio.Reader, pattern string) error {
	for {
		line, err := in.ReadString('\n')
		if pattern == "<eof>" && err != nil && line == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("want %q, got %q, %w", pattern, line, err)
		}
		text, ok := strings.CutSuffix(line, "\r\n")
		switch {
		case !ok:
			return fmt.Errorf("%q does not end in CR LF", line)
		case pattern == "<message>" && text == ".":
			return nil
		case pattern == "<message>":
			continue
		case !matches(pattern, text):
			return fmt.Errorf("want %q, got %q", pattern, text)
		}
		return nil
	}
}

func matches(pattern, text string) bool {
	expr := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`)
	return regexp.MustCompile("^" + expr + "$").MatchString(text)
}

// certificate makes one for 127.0.0.1 and localhost, and the pool that
// trusts it.
func certificate(tb testing.TB) (*tls.Config, *x509.CertPool) {
	tb.Helper()
	return certificateFor(tb, []string{"localhost"}, net.IPv4(127, 0, 0, 1))
}

func certificateFor(tb testing.TB, names []string, ips ...net.IP) (*tls.Config, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay.test"},
		DNSNames: names, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}
