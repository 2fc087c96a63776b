package smtp

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// needsUTF8 is the reply in the place of a server's to a recipient that only a
// server with SMTPUTF8 takes (RFC 6531, 3.2; the codes are those of 3.5).
func needsUTF8() email.Reply {
	return email.Reply{Code: 553, Enhanced: [3]int{5, 6, 7}, Message: "the address needs SMTPUTF8, which the server does not offer"}
}

// inASCII returns m as it goes to a server without SMTPUTF8, with the domains
// in their ASCII form (RFC 5890, 2.3.2.1). Mailboxes that have none stay as they
// are: such recipients cannot be reached, and writeMailboxes knows what to do
// with those in To and CC. The error is *email.UnsendableError: without a sender,
// or with replies going elsewhere, it would be another mail.
func inASCII(m *email.Message) (email.Message, error) {
	a := *m
	a.From, a.ReplyTo = asciiMailbox(m.From), asciiMailbox(m.ReplyTo)
	a.To, a.CC, a.Recipients = asciiMailboxes(m.To), asciiMailboxes(m.CC), asciiMailboxes(m.Recipients)
	switch {
	case !util.IsASCII(a.From):
		return a, &email.UnsendableError{Reason: "the sender's address needs SMTPUTF8, which the server does not offer"}
	case !util.IsASCII(a.ReplyTo):
		return a, &email.UnsendableError{Reason: "the address for replies needs SMTPUTF8, which the server does not offer"}
	}
	return a, nil
}

func asciiMailboxes(list []string) (out []string) {
	for _, mailbox := range list {
		out = append(out, asciiMailbox(mailbox))
	}
	return out
}

// asciiMailbox returns a mailbox with its domain in ASCII; as it is where its
// local part is not, for which there is no such form, or the domain is none of
// IDNA.
func asciiMailbox(mailbox string) string {
	domain := domainOf(mailbox)
	local := mailbox[:len(mailbox)-len(domain)]
	if !util.IsASCII(local) {
		return mailbox
	}
	ascii, _ := util.ASCIIDomain(domain)
	return local + ascii
}

// asGroup names a mailbox that cannot stand in a header of ASCII: a group
// without members whose name is the address (RFC 5322, 3.4; RFC 6857 does so
// with mail for old readers). Nobody can reply to it, but all see who else the
// mail was written to.
func asGroup(mailbox string) string {
	return strings.ReplaceAll(encodeWords(mailbox), " ", "\r\n ") + " :;"
}

// How much text an encoded word holds: 75 characters at most (RFC 2047, 2), of
// which 12 are not text. The first one shares its line, of 76, with the name.
const (
	wordBytes      = 45
	firstWordBytes = 36
)

// encodeWords returns a header text as it is, where it reads as meant, else as
// encoded words (RFC 2047). White space in a row is encoded too: folding could
// leave a line of nothing else, which some readers take for the header's end.
func encodeWords(s string) string {
	if isPlainText(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	for len(s) > 0 {
		n := wordBytes
		if b.Len() == 0 {
			n = firstWordBytes
		}
		n = min(n, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) { // a word holds whole characters
			n--
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=")
		s = s[n:]
	}
	return b.String()
}

// isPlainText reports whether s survives folding at single spaces, and is not
// taken for an encoded word.
func isPlainText(s string) bool {
	odd := func(r rune) bool { return r < '!' || r > '~' }
	for word := range strings.SplitSeq(s, " ") {
		if word == "" || len(word) > 60 || strings.Contains(word, "=?") || strings.ContainsFunc(word, odd) {
			return false
		}
	}
	return true
}
