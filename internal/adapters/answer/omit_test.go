package answer_test

import (
	"strings"
	"testing"

	"messaging-worker/internal/adapters/answer"
	"messaging-worker/internal/util"
)

func TestOmit(t *testing.T) {
	t.Parallel()
	const number = "+15557654321"
	tests := []struct{ name, own, in, want string }{
		{"number", number, "the 'To' number +15557654321 is not valid", "the 'To' number [omitted] is not valid"},
		{"without its plus", number, `{"to":"whatsapp:15557654321"}`, `{"to":"whatsapp:[omitted]"}`},
		{"in a longer one", number, "id 155576543210 and 415557654321", "id 155576543210 and 415557654321"},
		{"a short one in a code", "+2121", "Twilio 21211: no such number", "Twilio 21211: no such number"},
		{"international prefixes", number, "0015557654321 01115557654321", "[omitted] [omitted]"},
		{"in groups", number, "+1 (555) 765-4321, 1-555-765-4321", "[omitted], [omitted]"},
		{"beside letters", number, "to_15557654321x %2B15557654321 \\u002b15557654321", "to_[omitted]x %2B[omitted] \\u002b[omitted]"},
		{"the shortest", "+12", "+12 and 12 and +123", "[omitted] and 12 and +123"},
		{"body of one word", "Hello", "Hello Hellos xHello", "[omitted] Hellos xHello"},
		{"body of few letters", "OK", `{"status":"OK"}`, `{"status":"OK"}`},
		{"code behind escapes", "123456", `"\n123456\r" %20123456 =20123456 \u000a123456 x123456 n123456`, `"\n[omitted]\r" %20[omitted] =20[omitted] \u000a[omitted] x123456 n123456`},
		{"short words", "is on", "this one is on", "this one [omitted]"},
		{"a sentence glued to others", "your code is 1234", "xyour code is 12345", "x[omitted]5"},
		{"as a form", "Zoë, code 1234: a&b", "Body=Zo%C3%AB%2C+code+1234%3A+a%26b&To=1", "Body=[omitted]&To=1"},
		{"in a URL", "Zoë, code 1234", "?Body=Zo%C3%AB%2C%20code%201234", "?Body=[omitted]"},
		{"on a page", `<b>"A" & 'B'`, "<p>&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;</p><p>&lt;b&gt;&quot;A&quot; &amp; &#39;B&#39;</p>", "<p>[omitted]</p><p>[omitted]</p>"},
		{"as JSON", "line one\nline \"two\"/ü", `line one\nline \"two\"\/\u00fc`, "[omitted]"},
	}
	for _, tt := range tests {
		if got := answer.Omit(tt.in, tt.own); got != tt.want {
			t.Errorf("%s: Omit(%q, %q) = %q, want %q", tt.name, tt.in, tt.own, got, tt.want)
		}
	}
	if got := answer.Omit("said: code 1234 is yours", "1234", "code 1234 is yours"); got != "said: [omitted]" {
		t.Errorf("the longer text last: %q", got)
	}
}

// Whatever is around a number, it does not survive, and a longer one does.
func FuzzOmitNumber(f *testing.F) {
	f.Add("+15557654321", "to ", " is not valid")
	f.Add("+12", "+", "")
	f.Fuzz(func(t *testing.T, number, before, behind string) {
		if !util.IsE164(number) || strings.ContainsAny(before, "0123456789") || strings.ContainsAny(behind, "0123456789") {
			return
		}
		for _, named := range []string{number, "00" + number[1:], "whatsapp:" + number} {
			if len(number) < 5 && named[0] == '0' {
				continue // too short to be told from another
			}
			if got := answer.Omit(before+named+behind, number); strings.Contains(got, number[1:]) {
				t.Errorf("Omit(%q) = %q has %s in it", before+named+behind, got, number)
			}
		}
		for _, longer := range []string{number + "0", "+9" + number[1:]} {
			if got := answer.Omit(" "+longer+" ", number); got != " "+longer+" " {
				t.Errorf("Omit(%q, %q) = %q", longer, number, got)
			}
		}
	})
}
