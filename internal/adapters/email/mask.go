package email

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"messaging-worker/internal/adapters/answer"
	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// masked stands where a server named a mailbox.
const masked = answer.Omitted

// clean returns a server's words without mailboxes, and as answer.Clean does
// without the request's own texts. Of the request's mailboxes the local part
// alone goes too, as a whole word.
func clean(text string, own []string) string {
	plain := mask(omitQuoted(text, own))
	all := own
	if plain != text {
		all = slices.Clone(own)
		for _, s := range own {
			all = append(all, mask(s)) // as a text that was repeated looks by now
		}
	}
	plain = answer.Omit(plain, all...)
	for _, s := range own {
		plain = omitLocal(plain, s)
	}
	return models.CutRunes(plain, models.MaxTextRunes)
}

// omitQuoted leaves out mailboxes whose quoted local part may hold anything,
// also what ends a mailbox elsewhere.
func omitQuoted(text string, own []string) string {
	for _, s := range own {
		if strings.HasPrefix(s, `"`) && util.IsMailbox(s) {
			text = answer.OmitWord(text, s)
		}
	}
	return text
}

// omitLocal leaves the local part of a mailbox out where it stands alone, as it
// is or without its quotes.
func omitLocal(text, mailbox string) string {
	at := strings.LastIndexByte(mailbox, '@')
	if at < 0 || !util.IsMailbox(mailbox) {
		return text
	}
	local := mailbox[:at]
	if local[0] != '"' {
		return omitName(text, local)
	}
	inner := local[1 : len(local)-1]
	text = omitName(omitName(text, local), inner)
	return omitName(text, quotedPair.ReplaceAllString(inner, "$1"))
}

// quotedPair is a character behind a backslash (RFC 5321, 4.1.2).
var quotedPair = regexp.MustCompile(`(?s)\\(.)`)

// omitName leaves out a name that may identify a person: not a letter, not a
// number as codes and times are, and not a word of the servers' own.
func omitName(text, name string) string {
	letters, digits := 0, 0
	for _, r := range name {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsLetter(r):
			letters++
		}
	}
	const codes = 4 // digits, at most
	if letters+digits < 2 || letters == 0 && digits <= codes || stockWord(name) {
		return text
	}
	return answer.OmitWord(text, name)
}

// mask puts a neutral word in the place of whatever may be a mailbox. A server
// may name a recipient in another spelling than the request's, or somebody
// else whom an alias leads to. Angle brackets stay, and so does what stands
// beside the mailbox and cannot be part of it.
func mask(text string) string {
	var b strings.Builder
	for at := atSign(text); at >= 0; at = atSign(text) {
		start, end := bounds(text, at)
		b.WriteString(text[:start])
		b.WriteString(masked)
		text = text[end:]
	}
	return b.String() + text
}

// atSign returns where a mailbox may have its @, which is %40 in a URL, or -1.
// One that stands alone is none.
func atSign(text string) int {
	for i := range len(text) {
		for _, sign := range []string{"@", "%40"} {
			if strings.HasPrefix(text[i:], sign) && wordEnd(text, i)-wordStart(text, i) > len(sign) {
				return i
			}
		}
	}
	return -1
}

// wordStart and wordEnd return what stands around a place without white space.
func wordStart(text string, at int) int { return len(strings.TrimRightFunc(text[:at], notSpace)) }

func wordEnd(text string, at int) int {
	return len(text) - len(strings.TrimLeftFunc(text[at:], notSpace))
}

func notSpace(r rune) bool { return !unicode.IsSpace(r) }

// bounds returns where the mailbox around an @ begins and ends. In a URL it is
// the whole word, or what of it stands in angle brackets: what belongs to it
// there is encoded too.
func bounds(text string, at int) (start, end int) {
	if text[at] == '@' {
		return localStart(text, at), domainEnd(text, at)
	}
	start, end = wordStart(text, at), wordEnd(text, at)
	if i := strings.LastIndexByte(text[start:at], '<'); i >= 0 {
		start += i + 1
	}
	if i := strings.IndexByte(text[at:end], '>'); i >= 0 {
		return start, at + i
	}
	return start, start + len(strings.TrimRight(text[start:end], `.,;:!?)}'"`))
}

// localStart returns where the local part in front of an @ begins: behind the
// last character that only a quoted one may have (RFC 5322, 3.2.3), or at the
// opening quote.
func localStart(text string, at int) int {
	start := wordStart(text, at)
	if at > 0 && text[at-1] == '"' {
		if open := openingQuote(text[:at-1]); open >= 0 {
			return open
		}
	} else if i := strings.LastIndexAny(text[start:at], `()<>[]:;,"\`); i >= 0 && start+i+1 < at {
		return start + i + 1
	}
	return start
}

// domainEnd returns where the domain or address literal behind an @ ends.
func domainEnd(text string, at int) int {
	domain := text[at+1 : wordEnd(text, at)]
	if strings.HasPrefix(domain, "[") {
		if i := strings.IndexByte(domain, ']'); i >= 0 {
			return at + 1 + i + 1
		}
	}
	beyond := func(r rune) bool {
		return r < utf8.RuneSelf && r != '-' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	if i := strings.IndexFunc(domain, beyond); i >= 0 {
		domain = domain[:i]
	}
	return at + 1 + len(strings.TrimRight(domain, "."))
}

// openingQuote returns where the quoted text that goes up to the end began, or
// -1.
func openingQuote(text string) int {
	i := strings.LastIndexByte(text, '"')
	for i > 0 && text[i-1] == '\\' {
		i = strings.LastIndexByte(text[:i], '"')
	}
	return i
}
