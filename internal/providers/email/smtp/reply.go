package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"slices"
	"strings"

	"messaging-worker/internal/providers/email"
)

// Bounds of what a server may say. RFC 5321, 4.5.3.1.5 allows 512 octets a
// line; real servers are more talkative, and a flooding one must not eat
// memory or time.
const (
	maxLine  = 4096    // octets of a reply line that are kept; the rest is read over
	maxReply = 1 << 20 // octets of one reply, all its lines together

	maxUnreadable = 512 // octets of an unreadable reply that are shown
)

var errProtocol = errors.New("a reply outside the protocol")

// unreadable is the error of a reply that began and could not be read to its
// end: it is outside the protocol, or the connection broke in its midst.
type unreadable struct {
	text    string // of its first line that is not empty, or what came of it
	refuses bool   // what came of it is a refusal: its last code is 4yz or 5yz
	err     error  // errProtocol, or the reader's
}

func (e *unreadable) Error() string { return e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }

// parseReply reads one reply (RFC 5321, 4.2.1). It takes more than the RFC's
// grammar, as other clients do (Go's net/textproto, Postfix):
//
//	reply = *( more / other ) last
//	last  = code [ ( SP / HTAB ) text ] eol
//	more  = code "-" text eol
//	other = any other line: an empty one, or one without a code
//	code  = "2"-"5" 2DIGIT
//	eol   = [CR] LF
//
// The code of the last line decides. The reply's text is that of the first
// line, among those before the last one in a row, that has this code; the
// enhanced code is the first one that these lines have. A line may be of any
// length, of which maxLine octets are kept; all lines together have at most
// maxReply.
//
// Strange, where it is not nil, is called when the first line that is not
// empty is one of "other": what comes may be no reply at all. An error that it
// returns ends the reading. Each, where it is not nil, sees the text of every
// line with a code, and must not keep it.
//
// The error is errProtocol or the reader's, in an *unreadable where a line or
// a part of one came that is not empty.
func parseReply(in *bufio.Reader, strange func() error, each func(text []byte)) (email.Reply, error) {
	var reply email.Reply
	var came unreadable
	for left := maxReply; left > 0; {
		line, n, err := readLine(in, left)
		left -= n
		code, more, text := splitLine(line)
		if first := came.add(line, code); first && code == 0 && err == nil && strange != nil {
			err = strange()
		}
		if err != nil {
			return email.Reply{}, came.with(err)
		}
		if code == 0 {
			continue
		}
		add(&reply, code, text)
		if each != nil {
			each(text)
		}
		if !more {
			return reply, nil
		}
	}
	return email.Reply{}, came.with(errProtocol)
}

// readLine reads a line of at most limit octets, and returns what of it is
// kept, without its end, and how many octets it had. An error may come with a
// part of a line.
func readLine(in *bufio.Reader, limit int) (line []byte, n int, err error) {
	line, err = in.ReadSlice('\n')
	n = len(line)
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line) // the buffer is read into again
		for errors.Is(err, bufio.ErrBufferFull) && n <= limit {
			var rest []byte
			rest, err = in.ReadSlice('\n')
			n += len(rest)
		}
	}
	if n > limit {
		err = errProtocol
	}
	return bytes.TrimRight(line, "\r\n"), n, err
}

// add takes a line into the error that a reply may come to, and reports
// whether it is the first that is not empty.
func (e *unreadable) add(line []byte, code int) (first bool) {
	first = e.text == ""
	if first {
		e.text = printable(line[:min(len(line), maxUnreadable)])
		first = e.text != ""
	}
	switch {
	case code != 0:
		e.refuses = code >= 400
	case first && len(line) < 3: // not even a code came whole
		e.refuses = line[0] == '4' || line[0] == '5'
	}
	return first
}

// with returns err, and what came before it where anything did.
func (e *unreadable) with(err error) error {
	if e.text == "" {
		return err
	}
	e.err = err
	return e
}

// add takes a line with a code into a reply.
func add(reply *email.Reply, code int, text []byte) {
	enhanced, rest := cutEnhanced(text)
	switch {
	case code != reply.Code:
		*reply = email.Reply{Code: code, Enhanced: enhanced, Message: printable(rest)}
	case reply.Enhanced[0] == 0:
		reply.Enhanced = enhanced
	}
}

// splitLine takes a line apart: "250-text" goes on, "250 text" and "250" do
// not. The code is 0 where the line has none.
func splitLine(line []byte) (code int, more bool, text []byte) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, false, nil
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, false, nil
	case line[3] == ' ', line[3] == '\t':
		return code, false, line[4:]
	case line[3] == '-':
		return code, true, line[4:]
	}
	return 0, false, nil
}

// cutEnhanced takes a leading enhanced status code (RFC 2034, 4) off a text.
func cutEnhanced(text []byte) (enhanced [3]int, rest []byte) {
	first, rest, _ := bytes.Cut(text, []byte(" "))
	field, digits := 0, 0
	for _, b := range first {
		switch {
		case b == '.' && digits > 0 && field < 2:
			field, digits = field+1, 0
		case isDigit(b) && digits < 3:
			enhanced[field] = enhanced[field]*10 + int(b-'0')
			digits++
		default:
			return [3]int{}, text
		}
	}
	if field != 2 || digits == 0 || enhanced[0] != 2 && enhanced[0] != 4 && enhanced[0] != 5 {
		return [3]int{}, text
	}
	return enhanced, rest
}

// printable copies a text without control characters and broken UTF-8.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(bytes.TrimSpace(text)), "\uFFFD"))
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// positive reports a reply that grants what was asked for (2yz).
func positive(r email.Reply) bool { return r.Code >= 200 && r.Code < 300 }

// intermediate reports a reply that asks for more (3yz).
func intermediate(r email.Reply) bool { return r.Code >= 300 && r.Code < 400 }

// replyText is the reply as the server wrote it, nearly.
func replyText(r email.Reply) string {
	return strings.TrimSpace(strings.TrimPrefix(r.String(), "smtp ") + " " + r.Message)
}

// queueID returns the name under which a server queued a message, where its
// reply to the last line tells: Postfix "queued as X", Exim "OK id=X",
// Sendmail "X Message accepted for delivery".
func queueID(text string) string {
	_, id, found := strings.Cut(text, "queued as ")
	if !found {
		_, id, found = strings.Cut(text, "id=")
	}
	if before, _, ok := strings.Cut(text, " Message accepted for delivery"); ok && !found {
		id = before[strings.LastIndexByte(before, ' ')+1:]
	}
	if id, _, _ = strings.Cut(id, " "); len(id) > 128 {
		return ""
	}
	return strings.TrimRight(id, ".,;)>")
}

// queuedForLater reports the words of a positive reply by which a server says
// that it does not try to deliver now: Sendmail's "Recipient ok (will queue)",
// and what others may say. There is no code for it (RFC 3463), so only a
// warning follows from it. Most servers do not say it: Exim answers "250 OK id=X" to
// what it leaves to its next queue run as well.
func queuedForLater(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"will queue", "queued for later", "no immediate delivery"}, func(words string) bool {
		return strings.Contains(text, words)
	})
}
