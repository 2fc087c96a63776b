package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// writeFolded writes a header, in lines of at most 76 as far as its words let it.
func writeFolded(w *bytes.Buffer, name, text string) {
	w.WriteString(name)
	left := 72 - len(name)
	for word := range strings.SplitSeq(text, " ") {
		if len(word) >= left {
			w.WriteString("\r\n")
			left = 72
		}
		w.WriteString(" " + word)
		left -= len(word) + 1
	}
	w.WriteString("\r\n")
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
	if strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") || strings.Contains(s, "  ") || strings.Contains(s, "=?") {
		return false
	}
	word := 0
	for i := range len(s) {
		switch {
		case s[i] == ' ':
			word = 0
		case s[i] < ' ' || s[i] > '~':
			return false
		default:
			word++
		}
		if word > 60 {
			return false
		}
	}
	return true
}
