package smtp_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email/smtp"
)

// brief is a time limit that the tests run into on purpose. What comes before
// the silence has it too, a TLS handshake under the race detector for one, so
// it leaves room for a busy machine.
const brief = 3 * time.Second

// never is a time limit that no test waits for.
const never = time.Hour

const (
	hello   = "S: 220 relay\nC: EHLO client.example\nS: 250-relay\nS: 250 SIZE\n"
	deliver = "C: MAIL FROM:<sender@example.com>\nS: 250 ok\nC: RCPT TO:<a@example.com>\nS: 250 ok\nC: DATA\nS: 354 go on\nC: <message>\nS: 250 ok\n"
)

// stall is a server that falls silent.
type stall struct {
	name   string
	after  string // the dialog before the silence, with the command that is not answered
	next   string // the dialog of the next connection
	tls    string
	auth   string
	dirty  bool // a message is refused before, so that this one begins with RSET
	data   bool // the silence follows the last line
	unread bool // it does not read either, and the message is larger than all buffers
}

func stalls() []stall {
	const (
		startTLS = "S: 220 relay\nC: EHLO client.example\nS: 250-relay\nS: 250 STARTTLS\n"
		auth     = "S: 220 relay\nC: EHLO client.example\nS: 250-relay\nS: 250 AUTH PLAIN\n"
		secured  = startTLS + "C: STARTTLS\nS: 220 go\nS: <tls>\n"
		granted  = auth + "C: AUTH PLAIN *\nS: 235 ok\n"
		again    = "C: EHLO client.example\nS: 250 relay\n"
	)
	return []stall{
		{name: "greeting", after: "", next: hello + deliver},
		{name: "half a greeting", after: "S: 220-relay\n", next: hello + deliver},
		{name: "EHLO", after: "S: 220 relay\nC: EHLO *\n", next: hello + deliver},
		{name: "STARTTLS", after: startTLS + "C: STARTTLS\n", next: secured + again + deliver, tls: smtp.TLSStart},
		{name: "handshake", after: startTLS + "C: STARTTLS\nS: 220 go\n", next: secured + again + deliver, tls: smtp.TLSStart},
		{name: "EHLO under TLS", after: secured + "C: EHLO *\n", next: secured + again + deliver, tls: smtp.TLSStart},
		{name: "implicit TLS", after: "", next: "S: <tls>\n" + hello + deliver, tls: smtp.TLSImplicit},
		{name: "AUTH", after: auth + "C: AUTH PLAIN *\n", next: granted + deliver, auth: smtp.AuthPlain},
		{name: "MAIL", after: hello + "C: MAIL *\n", next: hello + deliver},
		{name: "RSET", after: hello + "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 550 5.1.1 unknown\nC: RSET\n", next: hello + deliver, dirty: true},
		{name: "RCPT", after: hello + "C: MAIL *\nS: 250 ok\nC: RCPT *\n", next: hello + deliver},
		{name: "DATA", after: hello + "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\n", next: hello + deliver},
		{name: "body", after: hello + "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 ok\n", next: hello + deliver, unread: true},
		{name: "last line", after: strings.TrimSuffix(hello+deliver, "S: 250 ok\n"), next: hello + deliver, data: true},
	}
}

// start runs a server that plays s.after on its first connection, then is
// silent until the client hangs up, and plays s.next on the second. It reports
// the silence on silent, and the hanging up on gone.
func (s stall) start(t *testing.T, o smtp.Options) (p *smtp.Provider, silent, gone chan struct{}) {
	t.Helper()
	config, roots := certificate(t)
	silent, gone = make(chan struct{}), make(chan struct{})
	first := 0
	if s.after == "" && s.tls == "" {
		// A port that has never greeted would be asked whether it speaks TLS.
		first = 1
	}
	srv := serve(t, func(n int, c net.Conn) {
		if n < first {
			if err := play(c, strings.Split(strings.TrimSpace(hello), "\n"), config); err != nil {
				t.Errorf("probe: %v", err)
			}
			return
		}
		if n > first {
			if err := play(c, strings.Split(strings.TrimSpace(s.next), "\n"), config); err != nil {
				t.Errorf("next: %v", err)
			}
			return
		}
		if s.unread {
			c.(*net.TCPConn).SetReadBuffer(4096)
		}
		s.fallSilent(t, c, config, silent)
		if s.unread { // reading would be no silence
			select {
			case <-gone: // closed by the test
			case <-t.Context().Done():
			}
			return
		}
		_, _ = io.Copy(io.Discard, c)
		close(gone)
	})
	o.Port, o.RootCAs = srv.port(), roots
	if s.tls != "" {
		o.TLS = s.tls
	}
	if s.auth != "" {
		o.Auth = s.auth
	}
	p = newProvider(t, o)
	t.Cleanup(func() { p.Close() })
	for range first {
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return p, silent, gone
}

func (s stall) fallSilent(t *testing.T, c net.Conn, config *tls.Config, silent chan struct{}) {
	t.Helper()
	script := strings.Split(strings.TrimSpace(s.after), "\n")
	if s.after == "" {
		script = nil
	}
	if err := play(c, append(script, "S: <silence>"), config); err != nil {
		t.Errorf("before the silence: %v", err)
	}
	c.SetDeadline(time.Time{}) // it is never the server that ends the silence
	close(silent)
}

// soil has a message refused where that is what comes before the silence.
func (s stall) soil(t *testing.T, a *email.Adapter) {
	t.Helper()
	if !s.dirty {
		return
	}
	_, err := a.Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
	if f := common.Classify(err); f == nil || f.Class != models.FailurePermanent {
		t.Fatalf("the message before: %v, want it refused", err)
	}
}

func (s stall) request() *models.EmailRequest {
	r := newRequest("")
	if s.unread {
		r.Body.Content = strings.Repeat(strings.Repeat("x", 70)+"\n", 1<<18)
	}
	return r
}

// wait fails the test when a thing does not come.
func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not in %v", what, patience)
	}
}

func TestStalledServerIsLeftAtTheDeadline(t *testing.T) {
	t.Parallel()
	for _, s := range stalls() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := options("")
			o.Timeout, o.DataTimeout = brief, patience
			want := fmt.Sprint("timeout after ", brief)
			if s.data {
				o.Timeout, o.DataTimeout = patience, brief
				want += " (may have been accepted)"
			}
			p, silent, gone := s.start(t, o)
			a := email.New(p, request.Limits{}, o.Timeout)
			s.soil(t, a)
			resp, err := a.Delivery(s.request()).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
			f := common.Classify(err)
			if f == nil || f.Class != models.FailureTransient || !f.Unreachable || f.Ambiguous != s.data || f.Err.Error() != want || resp.Status != models.StatusTimeout {
				t.Errorf("%+v, %+v, want a transient, unreachable %q", resp, f, want)
			}
			wait(t, "silence", silent)
			s.next0(t, p, gone)
		})
	}
}

// TestCancellingFreesTheCall gives the calls limits that nothing runs into: a
// call that comes back has heeded its context.
func TestCancellingFreesTheCall(t *testing.T) {
	t.Parallel()
	for _, s := range stalls() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := options("")
			o.Timeout, o.DataTimeout = never, never
			p, silent, gone := s.start(t, o)
			a := email.New(p, request.Limits{}, o.Timeout)
			s.soil(t, a)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan struct{})
			var err error
			go func() {
				defer close(done)
				_, err = a.Delivery(s.request()).Send(ctx, common.Call{Attempt: 1, Recipients: []int{0}})
			}()
			wait(t, "silence", silent)
			cancel()
			wait(t, "the call's end", done)
			f := common.Classify(err)
			if f == nil || f.Class != models.FailureTransient || !strings.HasPrefix(f.Err.Error(), "call cut by the worker's end") || f.Ambiguous && !s.data {
				t.Errorf("%v, want a transient failure of a call that was cut", f)
			}
			s.next0(t, p, gone)
		})
	}
}

// next0 sends the next message, and looks that the silent connection is gone.
func (s stall) next0(t *testing.T, p *smtp.Provider, gone chan struct{}) {
	t.Helper()
	if s.unread {
		close(gone)
	}
	wait(t, "hanging up", gone)
	a := email.New(p, request.Limits{}, patience)
	limits := options("") // what is brief for the stall may be brief for this one too
	ctx, cancel := context.WithTimeout(t.Context(), limits.Timeout)
	defer cancel()
	if resp, err := a.Delivery(newRequest("")).Send(ctx, common.Call{Attempt: 2, Recipients: []int{0}}); err != nil {
		t.Errorf("the next message: %+v, %v", resp, err)
	}
}

// TestConnectStalls fills the queue of a listener that never accepts, so that
// the kernel lets a further connection wait.
func TestConnectStalls(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), brief)
		if err != nil {
			break // the queue is full
		}
		defer c.Close()
	}
	o := options("")
	o.Port, o.Timeout = l.Addr().(*net.TCPAddr).Port, brief
	p := newProvider(t, o)
	defer p.Close()
	_, err = email.New(p, request.Limits{}, brief).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
	if f := common.Classify(err); f == nil || f.Err.Error() != fmt.Sprint("timeout after ", brief) || !f.Unreachable {
		t.Errorf("%v, want a time-out", f)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(brief/20, cancel)
	if _, err = p.Send(ctx, mailOf(newRequest(""))); err == nil || ctx.Err() == nil {
		t.Errorf("cancelled: %v", err)
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := options("")
	o.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	p := newProvider(t, o)
	_, err = email.New(p, request.Limits{}, patience).Delivery(newRequest("")).Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{0}})
	if f := common.Classify(err); f == nil || f.Error() != "transient error: connection refused" || !f.Unreachable {
		t.Errorf("%v", f)
	}
}

// TestServerThatIsSilentAtQuit holds up neither the next message nor the end.
func TestServerThatIsSilentAtQuit(t *testing.T) {
	t.Parallel()
	quit := make(chan struct{}, 8)
	srv := serve(t, func(_ int, c net.Conn) {
		script := strings.Split(strings.TrimSpace(hello+deliver)+"\nC: QUIT\nS: <silence>", "\n")
		if err := play(c, script, nil); err != nil {
			t.Errorf("server: %v", err)
		}
		quit <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	o := options("")
	o.Port, o.IdleTimeout = srv.port(), 50*time.Millisecond
	p := newProvider(t, o)
	for range 2 {
		if _, err := p.Send(t.Context(), mailOf(newRequest(""))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-quit:
		case <-time.After(patience):
			t.Fatal("an idle connection is not quit")
		}
	}
	p.Close()
}
