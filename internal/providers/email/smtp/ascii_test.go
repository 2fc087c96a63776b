package smtp

import (
	"bytes"
	"errors"
	"mime"
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

func TestMailboxInASCII(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, want string
		ok       bool // whether it has an ASCII form
	}{
		{"", "", true},
		{"a@Example.COM", "a@Example.COM", true},
		{"a@[IPv6:::1]", "a@[IPv6:::1]", true},
		{"a@bücher.example", "a@xn--bcher-kva.example", true},
		{"a@BÜCHER.Example", "a@xn--bcher-kva.example", true},
		{"a@straße.example", "a@xn--strae-oqa.example", true},
		{`"b@c d"@bücher.example`, `"b@c d"@xn--bcher-kva.example`, true},
		{"a@例え.テスト", "a@xn--r8jz45g.xn--zckzah", true},
		{"a@xn--bcher-kva.example", "a@xn--bcher-kva.example", true},
		{"grüße@example.com", "grüße@example.com", false},
		{"grüße@bücher.example", "grüße@bücher.example", false},
		{`"ü"@example.com`, `"ü"@example.com`, false},
		{"a@" + strings.Repeat("ü", 60) + ".example", "a@" + strings.Repeat("ü", 60) + ".example", false}, // a label too long
		{"a@☃\u200d.example", "a@☃\u200d.example", false},
	}
	for _, tt := range tests {
		if got := asciiMailbox(tt.in); got != tt.want || util.IsASCII(got) != tt.ok {
			t.Errorf("asciiMailbox(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestMessageInASCII(t *testing.T) {
	t.Parallel()
	m := sample()
	m.From, m.ReplyTo = "noreply@exämple.com", "help@bücher.example"
	m.To, m.CC = []string{"a@bücher.example", "grüße@bücher.example"}, []string{"grüße@example.com"}
	m.Recipients = []string{"grüße@bücher.example", "a@bücher.example", "grüße@example.com"}
	a, err := inASCII(&m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"grüße@bücher.example", "a@xn--bcher-kva.example", "grüße@example.com"}, a.Recipients); diff != "" {
		t.Errorf("recipients (-want +got)\n%s", diff)
	}
	d, err := (&messageWriter{}).write(&a, true)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`From: <noreply@xn--exmple-cua.com>
To: <a@xn--bcher-kva.example>,
 =?utf-8?b?Z3LDvMOfZUBiw7xjaGVyLmV4YW1wbGU=?= :;
Cc: =?utf-8?b?Z3LDvMOfZUBleGFtcGxlLmNvbQ==?= :;
Reply-To: <help@xn--bcher-kva.example>
`, "\n", "\r\n")
	if got, _, _ := strings.Cut(d.plain.String(), "Auto-Submitted"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if d.utf8 || d.eightBit || d.from != "noreply@xn--exmple-cua.com" || d.to[1] != "a@xn--bcher-kva.example" {
		t.Errorf("letter from %s to %v, utf8 %v, 8 bit %v", d.from, d.to, d.utf8, d.eightBit)
	}
	id := "Message-ID: <" + messageID + "@xn--exmple-cua.com>\r\n"
	if !strings.Contains(d.plain.String(), id) || !strings.Contains(written(t, m).plain.String(), id) {
		t.Errorf("the two forms must have the same %s", id)
	}
}

func TestSenderBeyondASCIIIsUnsendable(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*email.Message){
		func(m *email.Message) { m.From = "grüße@example.com" },
		func(m *email.Message) { m.ReplyTo = "grüße@example.com" },
	} {
		m := sample()
		change(&m)
		_, err := inASCII(&m)
		if _, ok := errors.AsType[*email.UnsendableError](err); !ok {
			t.Errorf("%v, want an UnsendableError", err)
		}
	}
}

// TestAnyMailboxesInASCII looks that no octet above 127 is left, that parsers
// read the headers, and that whoever has an ASCII form is in them.
func TestAnyMailboxesInASCII(t *testing.T) {
	t.Parallel()
	local := rapid.SampledFrom([]string{"a", "a.b", `"a b"`, "grüße", `"ü,;:<"`, "世界", strings.Repeat("ü", 30)})
	domain := rapid.SampledFrom([]string{"example.com", "bücher.example", "例え.テスト", "[192.0.2.1]", "a.ü", strings.Repeat("ü", 20) + ".example"})
	mailbox := rapid.Custom(func(t *rapid.T) string { return local.Draw(t, "local") + "@" + domain.Draw(t, "domain") })
	rapid.Check(t, func(r *rapid.T) {
		m := sample()
		m.To = rapid.SliceOfN(mailbox, 1, 5).Draw(r, "to")
		m.CC = rapid.SliceOfN(mailbox, 0, 3).Draw(r, "cc")
		m.Recipients = append(append([]string{}, m.To...), m.CC...)
		a, err := inASCII(&m)
		if err != nil {
			r.Fatal(err)
		}
		d, err := (&messageWriter{}).write(&a, true)
		if err != nil {
			r.Fatal(err)
		}
		if bytes.ContainsFunc(d.wire, func(c rune) bool { return c > 0x7e }) {
			r.Errorf("beyond ASCII: %q", d.wire)
		}
		checkLines(t, d.plain.Bytes())
		msg, err := mail.ReadMessage(bytes.NewReader(d.plain.Bytes()))
		if err != nil {
			r.Fatal(err)
		}
		for i, list := range map[string][]string{"To": m.To, "Cc": m.CC} {
			text, err := (&mime.WordDecoder{}).DecodeHeader(msg.Header.Get(i))
			for _, want := range list {
				if ascii := asciiMailbox(want); util.IsASCII(ascii) {
					want = "<" + ascii + ">"
				}
				if err != nil || !strings.Contains(text, want) {
					r.Errorf("%s: %q, %v, want %s in it", i, text, err, want)
				}
			}
		}
		for i, rcpt := range d.to {
			if rcpt != asciiMailbox(m.Recipients[i]) {
				r.Errorf("recipient %s of %s", rcpt, m.Recipients[i])
			}
		}
	})
}
