package answer

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
)

// Omitted stands where an answer quoted the request.
const Omitted = "[omitted]"

const (
	shortest = 4  // bytes; what is shorter is too common to look for
	phrase   = 16 // bytes; several words of that length do not come by chance
)

// Clean returns a provider's text as Omit leaves it, cut to what an event may
// hold.
func Clean(text string, own ...string) string {
	return models.CutRunes(Omit(text, own...), models.MaxTextRunes)
}

// Omit returns a provider's text without the request's own texts in it: its
// numbers, mailboxes, subject and body, and what fills a template. It takes
// whole words and whole numbers: "grey" stays in "greylisted", and 1555 in
// 15557654321. The longer text goes first, so that a shorter one inside it
// leaves no part of it behind.
func Omit(text string, own ...string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if text == "" {
		return ""
	}
	own = slices.Clone(own)
	slices.SortStableFunc(own, func(a, b string) int { return len(b) - len(a) })
	for _, s := range own {
		if util.IsE164(s) {
			text = omitNumber(text, s[1:])
			continue
		}
		for _, form := range forms(s, len(text)) {
			if len(form) >= shortest {
				text = omitText(text, form)
			}
		}
	}
	return text
}

// forms returns how a text may come back in an answer of that length: as it
// is, without what is around it, as JSON writes it, with and without
// characters beyond ASCII, as a form or URL has it, and as a page of HTML.
func forms(s string, length int) []string {
	core := strings.TrimPrefix(strings.TrimSpace(s), "+")
	if len(core) > length {
		return nil
	}
	list := []string{s, core}
	query, page := url.QueryEscape(core), html.EscapeString(core)
	for _, form := range []string{query, strings.ReplaceAll(query, "+", "%20"), page, strings.ReplaceAll(page, "&#34;", "&quot;")} {
		if form != core {
			list = append(list, form)
		}
	}
	quoted, err := jsontext.AppendQuote(nil, core)
	if err != nil {
		return list
	}
	q := string(quoted[1 : len(quoted)-1])
	for _, form := range []string{q, inASCII(q)} {
		if form != core {
			list = append(list, form, strings.ReplaceAll(form, "/", `\/`))
		}
	}
	return list
}

// inASCII writes a text of JSON without characters beyond ASCII.
func inASCII(text string) string {
	var b []byte
	var pair [2]uint16
	for _, r := range text {
		if r < utf8.RuneSelf {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, half := range utf16.AppendRune(pair[:0], r) {
			b = fmt.Appendf(b, `\u%04x`, half)
		}
	}
	return string(b)
}

// omitText leaves out a text as it is. A single word, or a few short ones, may
// be part of others by chance; a sentence is not.
func omitText(text, s string) string {
	if len(s) >= phrase && strings.ContainsFunc(s, unicode.IsSpace) {
		return strings.ReplaceAll(text, s, Omitted)
	}
	return replace(text, func(at int) int {
		if !strings.HasPrefix(text[at:], s) || !bounded(text, at, at+len(s), "") {
			return 0
		}
		return len(s)
	})
}

// replace puts Omitted wherever match finds something: match returns the length
// of what is to go at an index of the text, or 0.
func replace(text string, match func(at int) int) string {
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		if n := match(i); n > 0 {
			b.WriteString(text[done:i])
			b.WriteString(Omitted)
			i += n
			done = i
			continue
		}
		i++
	}
	return b.String() + text[done:]
}

// OmitWord leaves out a word wherever it stands alone, whatever its case. With
// - . or _ between it and others it does not.
func OmitWord(text, word string) string {
	return replace(text, func(at int) int {
		n := foldedPrefix(text[at:], word)
		if n == 0 || !bounded(text, at, at+n, "-._") {
			return 0
		}
		return n
	})
}

// foldedPrefix returns how long the prefix of text is that is word but for its
// case, or 0.
func foldedPrefix(text, word string) int {
	n := 0
	for _, want := range word {
		r, size := utf8.DecodeRuneInString(text[n:])
		if size == 0 || r != want && !strings.EqualFold(string(r), string(want)) {
			return 0
		}
		n += size
	}
	return n
}

// bounded reports whether text[start:end] is not the part of a longer word: a
// letter or digit at either end of it has none beside it. A joiner between two
// of them makes one word of both. An escape (\n, \u000a, %20) is no letter.
func bounded(text string, start, end int, joiners string) bool {
	first, _ := utf8.DecodeRuneInString(text[start:end])
	last, _ := utf8.DecodeLastRuneInString(text[start:end])
	return (!inWord(first) || !joinedBefore(text[:start], joiners)) && (!inWord(last) || !joinedBehind(text[end:], joiners))
}

func joinedBefore(before, joiners string) bool {
	r, size := utf8.DecodeLastRuneInString(before)
	if size > 0 && strings.ContainsRune(joiners, r) {
		before = before[:len(before)-size]
		r, size = utf8.DecodeLastRuneInString(before)
	}
	return size > 0 && inWord(r) && !endsInEscape(before)
}

func joinedBehind(behind, joiners string) bool {
	r, size := utf8.DecodeRuneInString(behind)
	if size > 0 && strings.ContainsRune(joiners, r) {
		r, _ = utf8.DecodeRuneInString(behind[size:])
	}
	return inWord(r)
}

func inWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r))
}

// escape matches an escape of JSON, a URL or a mail at the end of a text.
var escape = regexp.MustCompile(`(?:\\[nrtbf]|[%=][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4})$`)

// endsInEscape reports whether the last letters or digits are those of an escape.
func endsInEscape(s string) bool {
	return escape.MatchString(s[max(len(s)-len(`\u0000`), 0):])
}

// omitNumber leaves out a telephone number of that many digits, however it is
// grouped and whatever international prefix it has. A longer number that has it
// inside stays.
func omitNumber(text, number string) string {
	return replace(text, func(at int) int {
		if at > 0 && unicode.IsDigit(rune(text[at-1])) {
			return 0
		}
		for _, prefix := range []string{"+", "", "00", "011"} {
			rest, found := strings.CutPrefix(text[at:], prefix)
			if !found || prefix != "+" && len(number) < shortest {
				continue
			}
			if n := numberAt(rest, number); n > 0 {
				return len(prefix) + n
			}
		}
		return 0
	})
}

// grouped is from how many digits on people write them in groups.
const grouped = 7

// numberAt returns the length of the number that begins a text, or 0.
func numberAt(text, number string) int {
	i := 0
	for n := range len(number) {
		if n > 0 && len(number) >= grouped {
			rest := strings.TrimLeft(text[i:], " -.()/\u00a0")
			if gap := len(text) - i - len(rest); gap <= 3 {
				i += gap
			}
		}
		if i == len(text) || text[i] != number[n] {
			return 0
		}
		i++
	}
	if i < len(text) && unicode.IsDigit(rune(text[i])) {
		return 0
	}
	return i
}
