package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"messaging-worker/internal/providers/email"
)

// strangeWait is how long a reply is waited for behind a line that is none.
const strangeWait = 2 * time.Second

// conn is one connection. One goroutine at a time owns it.
type conn struct {
	raw    net.Conn // the TCP connection: deadlines are set on it, and it is closed
	stream net.Conn // raw, or TLS over it: SMTP is spoken on it
	in     *bufio.Reader
	out    []byte // commands that are queued and not written yet
	offers offers
	secure bool // under TLS

	deadlineAt time.Time   // of the reads and writes under way
	wasCut     atomic.Bool // cut was called

	reused       bool // has served a call before this one
	used         bool // a transaction was begun on it
	served       int  // messages accepted
	dirty        bool // a transaction may be open: the next one begins with RSET
	extraReplies bool // a message was sent on it: the server may have sent a reply too many
	retryConnect bool // setting it up failed, and a new connection may succeed
	broken       bool // no further command can be sent on it
	idle         time.Time
}

// offers are the extensions that the server named in its reply to EHLO.
type offers struct {
	pipelining, eightBitMIME, smtpUTF8, startTLS bool

	size int64    // the largest message; 0 where it did not say
	auth []string // mechanisms, in upper case
}

func newConn(raw net.Conn) *conn {
	return &conn{raw: raw, stream: raw, in: bufio.NewReaderSize(raw, maxLine)}
}

// cut makes every read and write under way, and every later one, fail at once.
func (c *conn) cut() {
	c.wasCut.Store(true)
	_ = c.raw.SetDeadline(time.Unix(1, 0)) // one that failed is closed already
}

// setDeadline sets the deadline of what comes next: t, or ctx's where it is
// earlier.
//
// The caller has arranged for cut to run when ctx ends.
func (c *conn) setDeadline(ctx context.Context, t time.Time) {
	if d, ok := ctx.Deadline(); ok && d.Before(t) {
		t = d
	}
	c.deadlineAt = t
	c.applyDeadline(t)
	if ctx.Err() != nil {
		c.cut()
	}
}

// applyDeadline sets the deadline of reads and writes. cut may run just before
// SetDeadline here and be undone by it, so wasCut is checked afterwards. If cut
// runs after that check, its deadline is the last one set.
func (c *conn) applyDeadline(t time.Time) {
	_ = c.raw.SetDeadline(t)
	if c.wasCut.Load() {
		_ = c.raw.SetDeadline(time.Unix(1, 0))
	}
}

// queue adds a command to those that flush writes.
func (c *conn) queue(parts ...string) {
	for _, part := range parts {
		c.out = append(c.out, part...)
	}
	c.out = append(c.out, '\r', '\n')
}

// flush writes the queued commands.
func (c *conn) flush() error {
	_, err := c.stream.Write(c.out)
	c.out = c.out[:0]
	return err
}

// readReply reads the reply to the last command.
func (c *conn) readReply() (email.Reply, error) { return c.readPipelined(0, nil) }

// readPipelined reads a reply that is followed by so many more, and calls each,
// where it is not nil, with the text of every line. Where more follow, a line
// without a code may be a reply too: skipping it would assign the reply to one
// command to another.
func (c *conn) readPipelined(more int, each func(text []byte)) (email.Reply, error) {
	limit, strange := c.deadlineAt, false
	r, err := parseReply(c.in, func() error {
		if more > 0 {
			return errProtocol
		}
		// Some servers print a line of their own before a reply. A peer that
		// does not speak SMTP at all must not cost the whole time limit.
		strange = true
		if short := time.Now().Add(strangeWait); short.Before(limit) {
			c.applyDeadline(short)
		}
		return nil
	}, each)
	if came, ok := errors.AsType[*unreadable](err); ok && strange && (isTimeout(err) || errors.Is(err, io.EOF)) {
		came.err = errProtocol // nothing followed that line
	}
	if strange {
		c.applyDeadline(limit)
	}
	return r, err
}

// command sends one command and reads the reply to it.
func (c *conn) command(parts ...string) (email.Reply, error) {
	c.queue(parts...)
	if err := c.flush(); err != nil {
		return email.Reply{}, err
	}
	return c.readReply()
}

// connectionError marks the connection broken and returns err with its type.
// After the last line of a message it matters what came: no reply, or the
// beginning of a refusal, leaves open whether the message was accepted; any
// other reply that cannot be read may be an acceptance.
func (c *conn) connectionError(ctx context.Context, stage string, limit time.Duration, err error) error {
	c.broken = true
	last, text := stage == email.StageMessage, ""
	came, part := errors.AsType[*unreadable](err)
	if part {
		text = came.text
	}
	switch {
	case errors.Is(err, errProtocol), last && part && !came.refuses && !errors.Is(ctx.Err(), context.Canceled):
		return &email.ProtocolError{Stage: stage, Accepted: last, Text: text}
	case ctx.Err() != nil:
		err = ctx.Err() // the network error of a connection that we cut means nothing
	}
	return &email.ConnectionError{Stage: stage, Limit: limit, Ambiguous: last, Err: err}
}

// usable reports whether another message may be sent on the connection. A line
// that the server sent unasked would be read as the reply to the next command.
func (c *conn) usable() bool { return !c.broken && c.in.Buffered() == 0 }

// silent reports whether the server waits for the next command: as far as can
// be seen it has neither sent anything unasked nor closed the connection.
func (c *conn) silent() bool {
	if !c.usable() {
		return false
	}
	if c.secure { // data that TLS has read and buffered is returned in spite of the deadline
		_ = c.raw.SetDeadline(time.Unix(1, 0))
		if _, err := c.in.Peek(1); !isTimeout(err) {
			return false
		}
	}
	_ = c.raw.SetDeadline(time.Time{}) // an expired deadline would fail the look at the socket too
	return !unread(c.raw)
}

// close closes the connection without QUIT. TLS would first write an alert,
// which may block on a server that stalls.
func (c *conn) close() { _ = c.raw.Close() }

// quit sends QUIT and closes. It takes at most quitTimeout.
func (c *conn) quit() {
	_ = c.raw.SetDeadline(time.Now().Add(quitTimeout))
	if _, err := c.command("QUIT"); err == nil {
		// The server closes first (RFC 5321, 4.1.1.10). Until it has, the
		// connection counts against what it grants.
		_, _ = c.in.ReadByte()
	}
	c.close()
}

func timedOut(ctx context.Context, err error) bool { return ctx.Err() != nil || isTimeout(err) }

func isTimeout(err error) bool {
	netErr, ok := errors.AsType[net.Error](err)
	return ok && netErr.Timeout()
}

// hungUp reports that the server, or a device before it, has closed the
// connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
