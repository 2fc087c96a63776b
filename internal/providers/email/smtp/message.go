package smtp

import (
	"bytes"
	"encoding/base64"
	"errors"
	"mime/quotedprintable"
	"slices"
	"strings"
	"sync"
	"time"

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
	writeMessage(&d.plain, m, ascii)
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
func writeMessage(w *bytes.Buffer, m *email.Message, ascii bool) {
	writeMailboxes(w, "From", ascii, m.From)
	writeMailboxes(w, "To", ascii, m.To...)
	writeMailboxes(w, "Cc", ascii, m.CC...)
	if m.ReplyTo != "" {
		writeMailboxes(w, "Reply-To", ascii, m.ReplyTo)
	}
	w.WriteString("Auto-Submitted: auto-generated\r\n") // RFC 3834, 5
	w.WriteString("Date: " + m.CreatedAt.Format(time.RFC1123Z) + "\r\n")
	if m.ListUnsubscribe != "" {
		w.WriteString("List-Unsubscribe: <" + m.ListUnsubscribe + ">\r\n")
		w.WriteString("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
	}
	w.WriteString("MIME-Version: 1.0\r\nMessage-ID: <" + m.ID + "@" + idDomain(m.From) + ">\r\n")
	if m.Subject != "" {
		writeFolded(w, "Subject:", encodeWords(m.Subject))
	}
	encoding, kind, write := "quoted-printable", "plain", writeQuotedPrintable
	if prefersBase64(m.Body) {
		encoding, write = "base64", writeBase64
	}
	if m.HTML {
		kind = "html"
	}
	w.WriteString("Content-Transfer-Encoding: " + encoding + "\r\nContent-Type: text/" + kind + "; charset=UTF-8\r\n\r\n")
	write(w, m.Body)
	if !bytes.HasSuffix(w.Bytes(), []byte("\r\n")) {
		w.WriteString("\r\n")
	}
}

// writeMailboxes writes a header of mailboxes, a line for each after the
// first; nothing when there are none. With ascii, those beyond it are named.
func writeMailboxes(w *bytes.Buffer, name string, ascii bool, mailboxes ...string) {
	for i, m := range mailboxes {
		if i == 0 {
			w.WriteString(name + ": ")
		} else {
			w.WriteString(",\r\n ")
		}
		if ascii && !util.IsASCII(m) {
			w.WriteString(asGroup(m))
			continue
		}
		w.WriteString("<" + m + ">")
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
		switch c := s[i]; {
		case c >= ' ' && c <= '~' && c != '=', c == '\n', c == '\r', c == '\t':
		default:
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

func writeQuotedPrintable(w *bytes.Buffer, body string) {
	if strings.Contains(body, "\r") { // the encoder remembers a bare CR for too long and loses an LF
		body = canonical(body)
	}
	encoder := quotedprintable.NewWriter(w)
	_, _ = encoder.Write([]byte(body)) // a bytes.Buffer takes all
	_ = encoder.Close()
}

func writeBase64(w *bytes.Buffer, body string) {
	for line := range slices.Chunk([]byte(canonical(body)), 57) { // 76 characters
		w.Write(base64.StdEncoding.AppendEncode(w.AvailableBuffer(), line))
		w.WriteString("\r\n")
	}
}

func anyBeyondASCII(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return !util.IsASCII(s) })
}

// lastLine ends a message (RFC 5321, 4.1.1.4).
const lastLine = ".\r\n"

// dotStuff appends a message to dst with a dot before every line that begins
// with one, and the last line (RFC 5321, 4.5.2).
func dotStuff(dst, message []byte) []byte {
	if len(message) > 0 && message[0] == '.' {
		dst = append(dst, '.')
	}
	for {
		i := bytes.Index(message, []byte("\n."))
		if i < 0 {
			break
		}
		dst = append(append(dst, message[:i+2]...), '.')
		message = message[i+2:]
	}
	return append(append(dst, message...), lastLine...)
}
