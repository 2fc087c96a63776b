package email

import (
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", ""},
		{"250 2.0.0 Ok: queued as 4F2A1B", "250 2.0.0 Ok: queued as 4F2A1B"},
		{"<john.doe@example.com>: user unknown", "<[omitted]>: user unknown"},
		{"<John.Doe@EXAMPLE.com>... User unknown", "<[omitted]>... User unknown"},
		{"no john.doe@example.com, sorry", "no [omitted], sorry"},
		{"john.doe@example.com: no", "[omitted]: no"},
		{"RCPT TO:<a@b> and <c@d>", "RCPT TO:<[omitted]> and <[omitted]>"},
		{"<a@b>,<c@d>; e@f.", "<[omitted]>,<[omitted]>; [omitted]."},
		{`<"john doe"@example.com>: no`, "<[omitted]>: no"},
		{`the "john \"x\" doe"@example.com is gone`, "the [omitted] is gone"},
		{`<"a<b c"@example.com>`, "<[omitted]>"},
		{"user@[192.0.2.1] no", "[omitted] no"},
		{"<käse@bücher.example> no", "<[omitted]> no"},
		{"see https://openspf.example/Why?id=john.doe%40example.com;ip=192.0.2.1", "see [omitted]"},
		{"to=<john@example.com>, relay=none", "to=<[omitted]>, relay=none"},
		{"a @ b", "a @ b"},
		{"100%40", "[omitted]"},
		{"@", "@"},
		{`"@`, "[omitted]"},
	}
	for _, tt := range tests {
		if got := mask(tt.in); got != tt.want {
			t.Errorf("mask(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// Whatever a server says, no word with an @ in its midst is left.
func FuzzMask(f *testing.F) {
	f.Add(`<"a b"@c> d@e.`)
	f.Add("a\u00a0@b")
	f.Fuzz(func(t *testing.T, text string) {
		for word := range strings.FieldsSeq(mask(text)) {
			if i := strings.IndexByte(word, '@'); i > 0 && i < len(word)-1 {
				t.Errorf("mask(%q) leaves %q", text, word)
			}
		}
	})
}
