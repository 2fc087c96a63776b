package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/providers/email"
)

const messageID = "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"

func sample() email.Message {
	return email.Message{
		ID: messageID, From: "noreply@example.com", To: []string{"a@example.com", "b@example.com"}, CC: []string{"c@example.com"},
		BCC: []string{"hidden@example.com"}, Recipients: []string{"a@example.com", "b@example.com", "c@example.com", "hidden@example.com"},
		Subject: "Welcome", Body: "Hello\n.\n..dots\nbye\n", CreatedAt: time.Date(2025, 10, 16, 9, 31, 15, 123, time.UTC),
	}
}

// read takes a message apart with the library's parser.
func read(t *testing.T, text []byte) (mail.Header, string) {
	t.Helper()
	msg, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var r io.Reader
	switch enc := msg.Header.Get("Content-Transfer-Encoding"); enc {
	case "quoted-printable":
		r = quotedprintable.NewReader(msg.Body)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, msg.Body)
	default:
		t.Fatalf("encoding %q", enc)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return msg.Header, string(body)
}

func written(t *testing.T, m email.Message) *messageBuffer {
	t.Helper()
	d, err := (&messageWriter{}).write(&m, false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMessageAsWritten(t *testing.T) {
	t.Parallel()
	m := sample()
	m.ReplyTo, m.ListUnsubscribe = "help@example.com", "https://example.com/u?id=1,2"
	want := strings.ReplaceAll(`From: <noreply@example.com>
To: <a@example.com>,
 <b@example.com>
Cc: <c@example.com>
Reply-To: <help@example.com>
Auto-Submitted: auto-generated
Date: Thu, 16 Oct 2025 09:31:15 +0000
List-Unsubscribe: <https://example.com/u?id=1,2>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
MIME-Version: 1.0
Message-ID: <1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61@example.com>
Subject: Welcome
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain; charset=UTF-8

Hello
..
...dots
bye
.
`, "\n", "\r\n")
	d := written(t, m)
	if diff := cmp.Diff(want, string(d.wire)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Two dots of stuffing and the last line are no part of the size.
	if d.size != int64(len(d.wire)-5) || d.utf8 || d.eightBit {
		t.Errorf("size %d of %d on the wire, utf8 %v, 8 bit %v", d.size, len(d.wire), d.utf8, d.eightBit)
	}
	if again := written(t, m); !bytes.Equal(again.wire, d.wire) {
		t.Error("the second attempt is written differently")
	}
}

func TestMessageIsReadAsMeant(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		subject string
		body    string
	}{
		{"unicode", "Grüße, 世界 🎉", "Grüße an die Welt\n"},
		{"mostly unicode", strings.Repeat("世界", 120), strings.Repeat("こんにちは世界。\n", 50)},
		{"long lines", strings.Repeat("long words in a subject ", 10) + "end", strings.Repeat("x", 5000) + "\n" + strings.Repeat("ü", 500) + "\n"},
		{"one long word", strings.Repeat("w", 255), "a\n"},
		{"many spaces", "a" + strings.Repeat(" ", 200) + "b", "  indented\n\n\ntrailing   \n\t\n"},
		{"tabs", "a\tb", "a\tb\t\n"},
		{"looks encoded", "=?utf-8?q?Bcc:_x?= 100%", "=3D=0A\n=?utf-8?q?x?=\n"},
		{"colon first", ": Bcc: x@example.com", "Bcc: x@example.com\n\nFrom x\n"},
		{"controls", "x", "\x00\x01\x1b[31m\x7f\n"},
		{"html", "x", "<html><body style=\"a:b\">é</body></html>\n"},
		{"quotes", `"a" <b@c>, (d)`, "'\"\\\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := sample()
			m.Subject, m.Body = tt.subject, tt.body
			d := written(t, m)
			checkLines(t, d.plain.Bytes())
			header, body := read(t, d.plain.Bytes())
			subject, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject"))
			if err != nil || subject != tt.subject {
				t.Errorf("subject %q, %v, want %q", subject, err, tt.subject)
			}
			if want := canonical(tt.body); body != want {
				t.Errorf("body %q, want %q", body, want)
			}
		})
	}
}

// checkLines holds the message to RFC 5322, 2.1.1 and to the promise that no
// line of its body is over 76.
func checkLines(t *testing.T, text []byte) {
	t.Helper()
	inBody := false
	for line := range bytes.SplitSeq(bytes.TrimSuffix(text, []byte("\r\n")), []byte("\r\n")) {
		limit := 998
		if inBody {
			limit = 76
		}
		if len(line) > limit || bytes.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line of %d octets, or a bare CR, LF or NUL: %q", len(line), line)
		}
		if !inBody && len(line) > 0 && strings.TrimSpace(string(line)) == "" {
			t.Error("a header line of white space alone")
		}
		if !inBody && bytes.IndexByte(line, ':') == len(line)-1 && len(line) > 0 && line[0] != ' ' {
			t.Errorf("nothing of the text on the line of %q", line)
		}
		if !inBody && bytes.Contains(line, []byte("=?utf-8?b?")) && len(line) > 76 {
			t.Errorf("a line of %d octets with an encoded word (RFC 2047, 2): %q", len(line), line)
		}
		inBody = inBody || len(line) == 0
	}
}

// TestFirstWordIsOnTheFirstLine has every header that may be folded as long as
// it may be.
func TestFirstWordIsOnTheFirstLine(t *testing.T) {
	t.Parallel()
	domain := strings.Repeat(strings.Repeat("d", 60)+".", 3) + "example"
	long := strings.Repeat("l", 60) + "@" + domain
	for _, subject := range []string{
		"W", strings.Repeat("w", 60), strings.Repeat("w", 61), strings.Repeat("w", 255), strings.Repeat("ü", 255), "ü", strings.Repeat("世", 100),
		strings.Repeat("w", 60) + " " + strings.Repeat("w", 60), "name: value", "name:", strings.Repeat("n", 58) + ": " + strings.Repeat("w", 60), "a  b",
	} {
		m := sample()
		m.Subject, m.From, m.ReplyTo, m.To, m.CC = subject, long, long, []string{long, long}, []string{long, long}
		m.ListUnsubscribe = "https://example.com/" + strings.Repeat("u", 880)
		d := written(t, m)
		text := d.plain.Bytes()
		checkLines(t, text)
		header, body := read(t, text)
		if got, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject")); err != nil || got != subject {
			t.Errorf("subject %q, %v, want %q", got, err, subject)
		}
		want := []string{"<" + m.ListUnsubscribe + ">", "<" + m.ID + "@" + domain + ">", "<" + long + ">", "<" + long + ">, <" + long + ">"}
		got := []string{header.Get("List-Unsubscribe"), header.Get("Message-Id"), header.Get("From"), header.Get("To")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if body != canonical(m.Body) {
			t.Errorf("body %q, want %q", body, m.Body)
		}
	}
}

func TestAddressesBeyondASCII(t *testing.T) {
	t.Parallel()
	m := sample()
	m.From, m.To, m.CC, m.BCC = "grüße@exämple.com", []string{`"a b\"c"@[IPv6:::1]`}, nil, nil
	m.Recipients = m.To
	d := written(t, m)
	text := d.plain.String()
	for _, want := range []string{"From: <grüße@exämple.com>\r\n", "To: <\"a b\\\"c\"@[IPv6:::1]>\r\n", "Message-ID: <" + messageID + "@xn--exmple-cua.com>\r\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if !d.utf8 || !d.eightBit {
		t.Errorf("utf8 %v, 8 bit %v, want both", d.utf8, d.eightBit)
	}
	m = sample()
	m.Recipients = []string{"grüße@example.com"} // one that no header names
	if d = written(t, m); !d.utf8 || d.eightBit {
		t.Errorf("hidden recipient: utf8 %v, 8 bit %v, want utf8 alone", d.utf8, d.eightBit)
	}
}

// FuzzMessage looks that no text of a request becomes a header, a recipient or
// the end of the message, and that all is read as meant.
func FuzzMessage(f *testing.F) {
	f.Add("Welcome", "Hello\n", false)
	f.Add("a"+strings.Repeat(" ", 150)+"b: c", ".\r\n.\r\nMAIL FROM:<x@y>\r\n", true)
	f.Add("=?utf-8?q?=0D=0ABcc:_x=40y?=", "\r\r\n\n.\n", true)
	f.Add("Ünï\tcödé", strings.Repeat("=", 100)+"\x00ü", false)
	f.Fuzz(func(t *testing.T, subject, body string, html bool) {
		subject = strings.TrimSpace(strings.ToValidUTF8(strings.Map(func(r rune) rune {
			if r != '\t' && unicode.IsControl(r) {
				return -1 // does not validate
			}
			return r
		}, subject), ""))
		body = strings.ToValidUTF8(body, "")
		m := sample()
		m.Subject, m.Body, m.HTML = subject, body, html
		d := written(t, m)
		checkLines(t, d.plain.Bytes())
		header, got := read(t, d.plain.Bytes())

		var names []string
		for name := range header {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"Auto-Submitted", "Cc", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
		if subject == "" {
			want = slices.DeleteFunc(want, func(s string) bool { return s == "Subject" })
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("headers (-want +got)\n%s", diff)
		}
		if s, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject")); err != nil || s != subject {
			t.Errorf("subject %q, %v, want %q", s, err, subject)
		}
		if want := canonical(body); strings.TrimSuffix(got, "\r\n") != strings.TrimSuffix(want, "\r\n") {
			t.Errorf("body %q, want %q", got, want)
		}
		if n := bytes.Count(append([]byte("\r\n"), d.wire...), []byte("\r\n.\r\n")); n != 1 {
			t.Errorf("the message ends %d times", n)
		}
	})
}
