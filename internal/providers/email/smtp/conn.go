package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"messaging-worker/internal/providers/email"
)

// strangeWait is how long a reply is waited for behind a line that is none.
const strangeWait = 2 * time.Second

// conn is one connection. One goroutine at a time owns it.
type conn struct {
	raw    net.Conn // what deadlines are set on, and what is closed
	line   net.Conn // what is spoken on: raw, or TLS on it
	in     *bufio.Reader
	out    []byte // commands not written yet
	offers offers
	secure bool // under TLS

	limit time.Time   // of the reads and writes under way
	ended atomic.Bool // cut was called

	reused bool // has served a call before this one
	begun  bool // a transaction was begun on it
	served int  // messages accepted
	dirty  bool // a transaction may be open: the next one begins with RSET
	unsure bool // a message was answered: a reply too many may be under way
	again  bool // it failed, and another one may not
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
	c.ended.Store(true)
	_ = c.raw.SetDeadline(time.Unix(1, 0)) // one that failed is closed already
}

// until sets the deadline of what comes next: t, or ctx's where it is earlier.
//
// The caller has arranged for cut to run when ctx ends.
func (c *conn) until(ctx context.Context, t time.Time) {
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		t = d
	}
	c.limit = t
	c.deadline(t)
	if ctx.Err() != nil {
		c.cut()
	}
}

// deadline sets the deadline of reads and writes. Cut may run just before it
// is set here, and would be undone; so it is looked for once more afterwards.
// When it runs after that look, its deadline is the last.
func (c *conn) deadline(t time.Time) {
	_ = c.raw.SetDeadline(t)
	if c.ended.Load() {
		_ = c.raw.SetDeadline(time.Unix(1, 0))
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

// hear reads the reply to the last command that was said.
func (c *conn) hear() (email.Reply, error) { return c.hearLines(nil) }

// hearLines does so, and each sees its lines.
func (c *conn) hearLines(each func(text []byte)) (email.Reply, error) {
	limit, strange := c.limit, false
	r, err := readReply(c.in, func() error {
		// Some servers print a line of their own before a reply. What does not
		// speak SMTP at all is not waited for until the limit.
		strange = true
		if short := time.Now().Add(strangeWait); short.Before(limit) {
			c.deadline(short)
		}
		return nil
	}, each)
	if came, ok := errors.AsType[*unreadable](err); ok && strange && (isTimeout(err) || errors.Is(err, io.EOF)) {
		came.err = errProtocol // that was all it had to say
	}
	if strange {
		c.deadline(limit)
	}
	return r, err
}

// hearNext reads a reply behind which so many more are to come. Where there are
// any, a line without a code may be a reply too: reading over it would take the
// reply to one command for that to another.
func (c *conn) hearNext(more int) (email.Reply, error) {
	if more == 0 {
		return c.hear()
	}
	return readReply(c.in, func() error { return errProtocol }, nil)
}

// ask says one command and hears the reply to it.
func (c *conn) ask(parts ...string) (email.Reply, error) {
	c.say(parts...)
	if err := c.flush(); err != nil {
		return email.Reply{}, err
	}
	return c.hear()
}

// lost gives an error of the line its type, and the line up. Behind the last
// line of a message it matters what came: no answer, or the beginning of one
// that refuses, leaves open whether the message was accepted; any other answer
// that cannot be read may be an acceptance.
func (c *conn) lost(ctx context.Context, stage string, limit time.Duration, err error) error {
	c.broken = true
	last, text := stage == lastStage, ""
	came, part := errors.AsType[*unreadable](err)
	if part {
		text = came.text
	}
	switch {
	case errors.Is(err, errProtocol), last && part && !came.refuses && !errors.Is(ctx.Err(), context.Canceled):
		return &email.ProtocolError{Stage: stage, Accepted: last, Text: text}
	case ctx.Err() != nil:
		err = ctx.Err() // what the network says of a cut line is beside the point
	}
	return &email.ConnectionError{Stage: stage, Limit: limit, Ambiguous: last, Err: err}
}

// usable reports whether another message may go this way. What a server says
// unasked would be taken for the reply to the next command.
func (c *conn) usable() bool { return !c.broken && c.in.Buffered() == 0 }

// quiet reports whether the server waits for the next command: it has neither
// said anything unasked nor hung up, as far as anything of it has come.
func (c *conn) quiet() bool {
	if !c.usable() {
		return false
	}
	if c.secure { // what TLS has read and not given out yet comes in spite of the deadline
		_ = c.raw.SetDeadline(time.Unix(1, 0))
		if _, err := c.in.Peek(1); !isTimeout(err) {
			return false
		}
	}
	_ = c.raw.SetDeadline(time.Time{}) // one that is over would fail the look at the socket too
	return !unread(c.raw)
}

// close ends the connection without a word. TLS would first write an alert,
// which may block on a server that stalls.
func (c *conn) close() { _ = c.raw.Close() }

// quit says goodbye and closes. It takes at most quitTimeout.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(quitTimeout))
	if _, err := c.ask("QUIT"); err == nil {
		// The server closes first (RFC 5321, 4.1.1.10). Until it has, the
		// connection counts against what it grants.
		_, _ = c.in.ReadByte()
	}
	c.close()
}
