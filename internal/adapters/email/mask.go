package email

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"messaging-worker/internal/adapters/common"
)

// masked stands where a server named a mailbox.
const masked = "[omitted]"

// clean returns a server's words without mailboxes, and as common.Clean does
// without the request's own texts.
func clean(text string, own []string) string {
	plain := mask(text)
	if plain == text {
		return common.Clean(text, own...)
	}
	all := slices.Clone(own)
	for _, s := range own {
		all = append(all, mask(s)) // as a text that was repeated looks by now
	}
	return common.Clean(plain, all...)
}

// mask puts a neutral word in the place of whatever may be a mailbox. A server
// may name a recipient in another spelling than the request's, or somebody
// else whom an alias leads to. Angle brackets stay.
func mask(text string) string {
	var b strings.Builder
	for {
		at := atSign(text)
		if at < 0 {
			break
		}
		start, end := bounds(text, at)
		b.WriteString(text[:start])
		b.WriteString(masked)
		text = text[end:]
	}
	if b.Len() == 0 {
		return text
	}
	return b.String() + text
}

// atSign returns where a mailbox may have its @, which is %40 in a URL, or -1.
// One that stands alone is none.
func atSign(text string) int {
	for i := range len(text) {
		switch {
		case text[i] == '@' && len(word(text, i)) > 1, strings.HasPrefix(text[i:], "%40") && len(word(text, i)) > 3:
			return i
		}
	}
	return -1
}

// word returns what stands around a place without white space.
func word(text string, at int) string { return text[wordStart(text, at):wordEnd(text, at)] }

func wordStart(text string, at int) int {
	i := strings.LastIndexFunc(text[:at], unicode.IsSpace)
	if i < 0 {
		return 0
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return i + size
}

func wordEnd(text string, at int) int {
	if i := strings.IndexFunc(text[at:], unicode.IsSpace); i >= 0 {
		return at + i
	}
	return len(text)
}

// bounds returns where the mailbox around an @ begins and ends: its word, or
// what of it stands in angle brackets. A quoted local part may have several.
func bounds(text string, at int) (start, end int) {
	start, end = wordStart(text, at), wordEnd(text, at)
	if at > 0 && text[at-1] == '"' {
		start = wordStart(text, max(0, openingQuote(text[:at-1])))
	}
	if i := strings.IndexAny(text[start:at], `<"`); i >= 0 && text[start+i] == '<' {
		start += i + 1
	}
	if i := strings.IndexByte(text[at:end], '>'); i >= 0 {
		return start, at + i
	}
	return start, start + len(strings.TrimRight(text[start:end], `.,;:!?)}'"`))
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
