package email

import (
	"strings"
	"testing"
	"unicode"

	"messaging-worker/internal/util"
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
		{"grey@example.com:greylisted", "[omitted]:greylisted"},
		{"greylisted:grey@example.com", "greylisted:[omitted]"},
		{"rfc822;john@example.com;x", "rfc822;[omitted];x"},
		{"<grey@example.com>greylisted", "<[omitted]>greylisted"},
		{"@relay.example:john@example.com", "[omitted]:[omitted]"},
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

// Whole mailboxes, whole local parts and whole texts go, and nothing else.
func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, own, in, want string }{
		{"the local part begins a word", "grey@example.com", "4.7.1 greylisted, try later", "4.7.1 greylisted, try later"},
		{"and is one", "grey@example.com", "4.7.1 grey: greylisted, try later", "4.7.1 [omitted]: greylisted, try later"},
		{"a subject begins a word", "grey", "4.7.1 greylisted, try later", "4.7.1 greylisted, try later"},
		{"ends one", "list@example.com", "on a blacklist", "on a blacklist"},
		{"joined", "jane@example.com", "jane-list jane_x jane.doe mary.jane mary-jane", "jane-list jane_x jane.doe mary.jane mary-jane"},
		{"alone", "jane@example.com", "no user jane here; (Jane) 'JANE' <jane>, jane.", "no user [omitted] here; ([omitted]) '[omitted]' <[omitted]>, [omitted]."},
		{"beside its mailbox", "jane@example.com", "<Jane@Example.COM>: janet is not jane", "<[omitted]>: janet is not [omitted]"},
		{"encoded", "jane@example.com", "jane=40example.com jane&#64;example.com %3cjane%40example.com%3E", "[omitted]=40example.com [omitted]&#64;example.com [omitted]"},
		{"a word of the servers' own", "user@example.com", "user unknown", "user unknown"},
		{"a role", "Postmaster@example.com", "ask the postmaster", "ask the postmaster"},
		{"a letter", "a@example.com", "a mailbox", "a mailbox"},
		{"a code", "550@example.com", "smtp 550 no", "smtp 550 no"},
		{"a number", "15557654321@sms.example", "15557654321 is no 155576543210", "[omitted] is no 155576543210"},
		{"characters of patterns", "j.*+x@example.com", "jane j.*+x", "jane [omitted]"},
		{"nothing but such", "*@example.com", "*** no ***", "*** no ***"},
		{"beyond ASCII", "käse@bücher.example", "<käse@xn--bcher-kva.example> KÄSE Käsekuchen", "<[omitted]> [omitted] Käsekuchen"},
		{"quoted", `"jane doe"@example.com`, `<"Jane Doe"@example.com> jane doe, jane does, "jane doe"`, `<[omitted]> [omitted], jane does, [omitted]`},
		{"quoted with an @", `"a @b c"@d`, `no "a @b c"@d here`, `no [omitted] here`},
		{"escaped", `"jane\"doe"@example.com`, `jane"doe`, `[omitted]`},
		{"body", "your code is 123456", "said: your code is 123456", "said: [omitted]"},
		{"body of one word", "OKAY", "OKAYED and OKAY", "OKAYED and [omitted]"},
		{"body of few letters", "OK", "OK: queued", "OK: queued"},
	}
	for _, tt := range tests {
		if got := clean(tt.in, []string{tt.own}); got != tt.want {
			t.Errorf("%s: clean(%q, %q) = %q, want %q", tt.name, tt.in, tt.own, got, tt.want)
		}
	}
	if got := clean("no jane, my code 1234 is for jane", []string{"jane@example.com", "1234", "code 1234 is for jane"}); got != "no [omitted], my [omitted]" {
		t.Errorf("texts within one another: %q", got)
	}
}

// Whatever is around it, no mailbox of the request survives, and every word
// does that merely has its local part inside.
func FuzzClean(f *testing.F) {
	f.Add("grey@example.com", "451 4.7.1 <", "> greylisted")
	f.Add(`"a b"@c`, "x", "y")
	f.Add(`"a>@b"@[192.0.2.1]`, `"`, `"@`)
	f.Add("käse@xn--bcher-kva.example", "%40", "%40")
	f.Add("a@b", "@", "@b")
	f.Fuzz(func(t *testing.T, mailbox, before, behind string) {
		if !util.IsMailbox(mailbox) {
			return
		}
		for _, named := range []string{mailbox, strings.ToUpper(mailbox), strings.ToLower(mailbox)} {
			got := clean(before+named+behind, []string{mailbox})
			if strings.Contains(strings.ToLower(got), strings.ToLower(mailbox)) {
				t.Errorf("clean(%q) = %q has %q in it", before+named+behind, got, mailbox)
			}
		}
		local, _, _ := strings.Cut(mailbox, "@")
		if strings.ContainsFunc(local, func(r rune) bool { return !unicode.IsLetter(r) }) {
			return
		}
		for _, word := range []string{"x" + local, local + "x", "x" + local + "x", local + "-x", "x." + local} {
			if got := clean(word+" <"+mailbox+"> "+word, []string{mailbox}); got != word+" <"+masked+"> "+word {
				t.Errorf("%q beside %q becomes %q", word, mailbox, got)
			}
		}
	})
}
