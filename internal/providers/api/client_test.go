package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// One HTTP/2 connection that dies in silence does not take all later calls
// along.
func TestSilentHTTP2Connection(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	p := newProxy(t, s.Listener.Addr().String())
	c := NewClient(10, "")
	transport := c.http.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	if pings := transport.HTTP2; pings.SendPingTimeout <= 0 || pings.PingTimeout <= 0 {
		t.Fatal("the client does not look after its connections")
	}
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 100 * time.Millisecond, PingTimeout: time.Second}
	call := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		answer, err := c.Do(ctx, http.MethodPost, "https://"+p.listener.Addr().String(), []byte("x"), func(*http.Request) {})
		if err == nil && answer.Status != http.StatusOK {
			t.Fatalf("status %d: not HTTP/2", answer.Status)
		}
		return err
	}
	// A busy machine may miss a ping of the connection that is well, too.
	for err, deadline := call(), time.Now().Add(time.Minute); err != nil; err = call() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	p.silence()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := call()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("calls go on to fail: %v", err)
		}
	}
}

// A proxy of the environment is told who asks, too.
func TestProxyIsToldOurUserAgent(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Method + " " + r.Header.Get("User-Agent")
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(s.Close)
	c := NewClient(1, "messaging-worker/1.2.3")
	c.http.Transport.(*http.Transport).Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) }
	_, err := c.Do(t.Context(), http.MethodGet, "https://api.example.com/", nil, func(*http.Request) {})
	if said := <-got; err == nil || said != "CONNECT messaging-worker/1.2.3" {
		t.Errorf("proxy was told %q (%v)", said, err)
	}
}

// proxy passes bytes on until it is silenced: the connections of then stay
// open and carry nothing any more.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	mute     []chan struct{}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = in.Close(); _ = out.Close() })
			mute := make(chan struct{})
			p.mu.Lock()
			p.mute = append(p.mute, mute)
			p.mu.Unlock()
			go pass(in, out, mute)
			go pass(out, in, mute)
		}
	}()
	return p
}

func pass(from, to net.Conn, mute chan struct{}) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		select {
		case <-mute:
		default:
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	}
}

func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, mute := range p.mute {
		close(mute)
	}
	p.mute = nil
}
