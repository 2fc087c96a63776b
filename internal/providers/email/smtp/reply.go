package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"strings"

	"messaging-worker/internal/providers/email"
)

// Bounds of what a server may say. RFC 5321, 4.5.3.1.5 allows 512 octets a
// line; real servers are more talkative, and a flooding one must not eat
// memory or time.
const (
	maxLine  = 4096 // octets of a reply line
	maxLines = 128  // lines of one reply
)

var errProtocol = errors.New("a reply outside the protocol")

// readReply reads one reply of one or more lines (RFC 5321, 4.2.1). It keeps
// the first line's text; each, where it is not nil, sees the text of every
// line and must not keep it. The error is the reader's, or errProtocol.
func readReply(in *bufio.Reader, each func(text []byte)) (email.Reply, error) {
	var reply email.Reply
	for n := range maxLines {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return email.Reply{}, errProtocol
		}
		if err != nil {
			return email.Reply{}, err
		}
		code, more, text, ok := splitLine(bytes.TrimRight(line, "\r\n"))
		switch {
		case !ok, n > 0 && code != reply.Code:
			return email.Reply{}, errProtocol
		case n == 0:
			enhanced, rest := cutEnhanced(text)
			reply = email.Reply{Code: code, Enhanced: enhanced, Message: printable(rest)}
		}
		if each != nil {
			each(text)
		}
		if !more {
			return reply, nil
		}
	}
	return email.Reply{}, errProtocol
}

// splitLine takes a line apart: "250-text" goes on, "250 text" and "250" do not.
func splitLine(line []byte) (code int, more bool, text []byte, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, false, nil, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, false, nil, true
	case line[3] == ' ':
		return code, false, line[4:], true
	case line[3] == '-':
		return code, true, line[4:], true
	}
	return 0, false, nil, false
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

// queueID returns the name under which a server queued a message, where its
// reply to the last line tells: Postfix "queued as X", Exim "OK id=X",
// Sendmail "X Message accepted for delivery".
func queueID(text string) string {
	id, found := "", false
	if _, id, found = strings.Cut(text, "queued as "); !found {
		if _, id, found = strings.Cut(text, "id="); !found {
			if before, _, ok := strings.Cut(text, " Message accepted for delivery"); ok {
				id = before[strings.LastIndexByte(before, ' ')+1:]
			}
		}
	}
	if id, _, _ = strings.Cut(id, " "); len(id) > 128 {
		return ""
	}
	return strings.TrimRight(id, ".,;)>")
}
