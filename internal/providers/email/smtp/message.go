package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wneessen/go-mail"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// keepBuffer is the largest message whose buffers are kept for the next one.
const keepBuffer = 256 << 10

// messageWriter writes messages, into buffers that it reuses. Its zero value
// works and signs nothing.
type messageWriter struct {
	dkim *DKIM // nil for none
	pool sync.Pool
}

// wireMessage is one message as it is sent. It does not change any more.
type wireMessage struct {
	from string
	to   []string // of the envelope
	wire []byte   // dot-stuffed, with the line that ends it
	size int64    // octets of the message (RFC 1870, 3)

	eightBit bool // has octets above 127
	utf8     bool // has addresses beyond ASCII
}

// messageBuffer is a wireMessage and the buffers that it lies in.
type messageBuffer struct {
	wireMessage

	plain  bytes.Buffer // as written
	signed bytes.Buffer // the same behind its signature
}

// write renders m. The result must be given back with free. With ascii,
// mailboxes in To and CC that are not ASCII become empty groups (asGroup); all
// other mailboxes must be ASCII.
func (w *messageWriter) write(m *email.Message, ascii bool) (*messageBuffer, error) {
	d, ok := w.pool.Get().(*messageBuffer)
	if !ok {
		d = &messageBuffer{}
	}
	d.plain.Reset()
	if err := writeMessage(&d.plain, m, ascii); err != nil {
		// Nothing that a valid request holds can be the reason.
		return nil, &email.UnsendableError{Reason: "the message cannot be written"}
	}
	text := d.plain.Bytes()
	if w.dkim != nil {
		d.signed.Reset()
		if err := w.dkim.sign(&d.signed, text); err != nil {
			return nil, &email.SetupError{Stage: email.StageDKIM, Err: errors.New("the message cannot be signed")}
		}
		text = d.signed.Bytes()
	}
	d.wireMessage = wireMessage{
		from: m.From, to: m.Recipients, wire: dotStuff(d.wire[:0], text), size: int64(len(text)),
	}
	if !ascii {
		d.eightBit = anyBeyondASCII(m.To) || anyBeyondASCII(m.CC) || anyBeyondASCII([]string{m.From, m.ReplyTo})
		d.utf8 = d.eightBit || anyBeyondASCII(m.Recipients)
	}
	return d, nil
}

// free takes a buffer back.
func (w *messageWriter) free(d *messageBuffer) {
	if cap(d.wire) <= keepBuffer {
		d.from, d.to = "", nil
		w.pool.Put(d)
	}
}

// writeMessage writes m with all lines ended by CR LF. The body is encoded, so
// that only a mailbox beyond ASCII makes an octet above 127 (RFC 6532), and no
// line of the body is longer than 76.
func writeMessage(w *bytes.Buffer, m *email.Message, ascii bool) error {
	// The mailboxes are written here, as they were given: the library would
	// quote quoted ones again, and not know address literals.
	writeMailboxes(w, "From", ascii, m.From)
	writeMailboxes(w, "To", ascii, m.To...)
	writeMailboxes(w, "Cc", ascii, m.CC...)
	if m.ReplyTo != "" {
		writeMailboxes(w, "Reply-To", ascii, m.ReplyTo)
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.SetDateWithValue(m.CreatedAt)
	setVerbatim(msg, mail.HeaderMessageID, "<"+m.ID+"@"+idDomain(m.From)+">")
	if m.Subject != "" {
		msg.Subject(encodeWords(m.Subject))
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5
	if m.ListUnsubscribe != "" {
		msg.SetGenHeader(mail.HeaderListUnsubscribe, "<"+m.ListUnsubscribe+">")
		msg.SetGenHeader(mail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
	kind := mail.TypeTextPlain
	if m.HTML {
		kind = mail.TypeTextHTML
	}
	body, inBase64 := m.Body, prefersBase64(m.Body)
	if inBase64 {
		msg.SetEncoding(mail.EncodingB64)
	}
	if inBase64 || strings.Contains(body, "\r") { // quoted-printable remembers a bare CR for too long and loses an LF
		body = canonical(body)
	}
	msg.SetBodyString(kind, body)
	if _, err := msg.WriteTo(w); err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	joinNames(w)
	if !bytes.HasSuffix(w.Bytes(), []byte("\r\n")) {
		w.WriteString("\r\n")
	}
	return nil
}

// joinNames puts the first word of each header on the line of its name. The
// library begins a new line where that word is long, and some readers take the
// line's end and blank for a part of the text.
func joinNames(w *bytes.Buffer) {
	text := w.Bytes()
	kept, at := 0, 0 // what is kept of the text, and up to where it was looked at
	for {
		n := bytes.Index(text[at:], []byte("\r\n"))
		if n <= 0 { // the header's end
			break
		}
		line := text[at : at+n]
		if bytes.IndexByte(line, ':') != n-1 || line[0] == ' ' {
			line = text[at : at+n+2]
		}
		kept += copy(text[kept:], line)
		at += n + 2
	}
	if kept < at {
		w.Truncate(kept + copy(text[kept:], text[at:]))
	}
}

// setVerbatim sets a header whose value is not to be encoded. The library
// encodes what is beyond ASCII, which is wrong in an id (RFC 6532, 3.3).
func setVerbatim(msg *mail.Msg, name mail.Header, value string) {
	msg.SetGenHeader(name, "")
	msg.GetGenHeader(name)[0] = value
}

// writeMailboxes writes a header of mailboxes, a line for each after the
// first; nothing when there are none. With ascii, those beyond it are named.
func writeMailboxes(w *bytes.Buffer, name string, ascii bool, mailboxes ...string) {
	before := name + ": "
	for _, m := range mailboxes {
		w.WriteString(before)
		before = ",\r\n "
		if ascii && !util.IsASCII(m) {
			w.WriteString(asGroup(m))
		} else {
			w.WriteString("<" + m + ">")
		}
	}
	if len(mailboxes) > 0 {
		w.WriteString("\r\n")
	}
}

// idDomain returns the domain for the message's id: in ASCII where it can be,
// so that the id is the same whichever server takes an attempt.
func idDomain(mailbox string) string {
	domain, _ := util.ASCIIDomain(domainOf(mailbox))
	return domain
}

// domainOf returns what is behind the last @: a quoted local part may have
// one too, a domain may not.
func domainOf(mailbox string) string { return mailbox[strings.LastIndexByte(mailbox, '@')+1:] }

// prefersBase64 reports whether base64 (four octets for three) is shorter than
// quoted-printable (three octets for one that is not plain).
func prefersBase64(s string) bool {
	odd := 0
	for i := range len(s) {
		c := s[i]
		if c == '=' || c > '~' || c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			odd++
		}
	}
	return odd*6 > len(s)
}

// canonical returns a text with CR LF at the end of each line (RFC 2045, 6.8),
// however its lines ended; the same that quoted-printable makes of it.
func canonical(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.ReplaceAll(s, "\n", "\r\n")
}

func anyBeyondASCII(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return !util.IsASCII(s) })
}

// lastLine ends a message (RFC 5321, 4.1.1.4).
const lastLine = ".\r\n"

// dotStuff appends a message to dst with a dot before every line that begins
// with one, and the last line (RFC 5321, 4.5.2).
func dotStuff(dst, message []byte) []byte {
	for line := range bytes.Lines(message) {
		if line[0] == '.' {
			dst = append(dst, '.')
		}
		dst = append(dst, line...)
	}
	return append(dst, lastLine...)
}
