package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// maxAnswer is how much of an answer is read. Providers answer in a few
// hundred bytes; what a gateway between says may be a page, and a server that
// never ends must cost nothing.
const maxAnswer = 64 << 10

// Client makes calls to an HTTP provider. It keeps a connection for each call
// that may be under way, follows no redirect, and never makes a call twice. It
// is safe for concurrent use.
type Client struct {
	http      *http.Client
	userAgent string
}

// NewClient makes a client for that many calls at once. UserAgent is what we
// call ourselves (RFC 9110, 10.1.5).
func NewClient(concurrency int, userAgent string) *Client {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ProxyConnectHeader:  http.Header{"User-Agent": {userAgent}},
		DialContext:         (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext, // bounded by the call's own limit, like all that follows
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        concurrency,
		MaxIdleConnsPerHost: concurrency,
		IdleConnTimeout:     50 * time.Second, // below the usual minute of load balancers
		DisableCompression:  true,             // answers are small
		// Go's own bound is ten megabytes, for each of the calls under way.
		MaxResponseHeaderBytes: maxAnswer,
		// All calls share one HTTP/2 connection, and a call that runs out of
		// time does not close it: without pings one that died in silence would
		// take every later call and probe along.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
	return &Client{userAgent: userAgent, http: &http.Client{
		Transport: t,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a POST that goes elsewhere is not ours to make
		},
	}}
}

// Close lets the kept connections go.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Answer is what an HTTP provider said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most 64 KiB of it
}

// ConnectionError is a call that got no answer.
type ConnectionError struct {
	// Sent says that the request was written whole: the provider may have
	// acted on it.
	Sent bool

	// Answered says that something came back that is no HTTP answer.
	Answered bool
	Err      error
}

// Error returns the cause's text. It may hold an address: not for a log.
func (e *ConnectionError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ConnectionError) Unwrap() error { return e.Err }

// Do makes one call. Body is nil for a GET. Its error is a *ConnectionError; an
// answer that breaks off after its status counts as one with the body so far.
func (c *Client) Do(ctx context.Context, method, url string, body []byte, prepare func(*http.Request)) (*Answer, error) {
	var sent, answered atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(info httptrace.WroteRequestInfo) { sent.Store(info.Err == nil) },
		GotFirstResponseByte: func() { answered.Store(true) },
	})
	// The transport begins a POST anew on another connection only where
	// nothing of it was written; with an idempotency header it would do so
	// later too, so there is none.
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, &ConnectionError{Err: errors.New("the request cannot be built")}
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	prepare(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &ConnectionError{Sent: sent.Load(), Answered: answered.Load(), Err: err}
	}
	defer resp.Body.Close()
	// A body that breaks off leaves what was read of it: the status has
	// decided, and an acceptance that cannot be read is known as such.
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	// The rest is drained so that the connection can be kept, as far as that
	// is cheaper than a new one.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// Raw returns the body, for a person to look at once it is cleaned and cut.
// JSON is written in its canonical spelling, so that texts it quotes are found.
func (a *Answer) Raw() string {
	plain, err := jsontext.AppendFormat(nil, a.Body, lenient())
	if err != nil {
		return string(a.Body)
	}
	return string(plain)
}
