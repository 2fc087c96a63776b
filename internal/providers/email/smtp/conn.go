package smtp

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"

	"messaging-worker/internal/providers/email"
)

// conn is one connection. One goroutine at a time owns it.
type conn struct {
	raw    net.Conn // what deadlines are set on, and what is closed
	line   net.Conn // what is spoken on: raw, or TLS on it
	in     *bufio.Reader
	out    []byte // commands not written yet
	offers offers
	secure bool // under TLS

	reused bool // has served a call before this one
	served int  // messages accepted
	dirty  bool // a transaction may be open: the next one begins with RSET
	broken bool // nothing more can be said on it
	idle   time.Time
}

// offers are the extensions that the server named in its reply to EHLO.
type offers struct {
	pipelining, eightBitMIME, smtpUTF8, startTLS bool

	size int64    // the largest message; 0 where it did not say
	auth []string // mechanisms, in upper case
}

func newConn(raw net.Conn) *conn {
	return &conn{raw: raw, line: raw, in: bufio.NewReaderSize(raw, maxLine)}
}

// cut makes every read and write under way, and every later one, fail at once.
func (c *conn) cut() {
	_ = c.raw.SetDeadline(time.Unix(1, 0)) // one that failed is closed already
}

// until sets the deadline of what comes next: t, or ctx's where it is earlier.
//
// The caller has arranged for cut to run when ctx ends. It may run just
// before the deadline is set here, and would be undone; so ctx is looked at
// once more afterwards. When ctx ends after that look, cut is yet to come.
func (c *conn) until(ctx context.Context, t time.Time) {
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		t = d
	}
	_ = c.raw.SetDeadline(t)
	if ctx.Err() != nil {
		c.cut()
	}
}

// say adds a command to what is written next.
func (c *conn) say(parts ...string) {
	for _, part := range parts {
		c.out = append(c.out, part...)
	}
	c.out = append(c.out, '\r', '\n')
}

// flush writes what was said.
func (c *conn) flush() error {
	_, err := c.line.Write(c.out)
	c.out = c.out[:0]
	return err
}

// hear reads one reply.
func (c *conn) hear() (email.Reply, error) { return readReply(c.in, nil) }

// ask says one command and hears the reply to it.
func (c *conn) ask(parts ...string) (email.Reply, error) {
	c.say(parts...)
	if err := c.flush(); err != nil {
		return email.Reply{}, err
	}
	return c.hear()
}

// lost gives an error of the line its type, and the line up.
func (c *conn) lost(ctx context.Context, stage string, limit time.Duration, ambiguous bool, err error) error {
	c.broken = true
	if errors.Is(err, errProtocol) {
		return &email.ProtocolError{Stage: stage, Ambiguous: ambiguous}
	}
	if ctx.Err() != nil {
		err = ctx.Err() // what the network says of a cut line is beside the point
	}
	return &email.LineError{Stage: stage, Limit: limit, Ambiguous: ambiguous, Err: err}
}

// usable reports whether another message may go this way. What a server says
// unasked would be taken for the reply to the next command.
func (c *conn) usable() bool { return !c.broken && c.in.Buffered() == 0 }

// close ends the connection without a word. TLS would first write an alert,
// which may block on a server that stalls.
func (c *conn) close() { _ = c.raw.Close() }

// quit says goodbye and closes. It takes at most quitTimeout.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(quitTimeout))
	_, _ = c.ask("QUIT") // whatever comes of it, it is over
	c.close()
}
