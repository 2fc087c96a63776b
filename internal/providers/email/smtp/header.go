package smtp

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

// joinNames puts the first word of a header on the line of its name. The
// library begins a new line where that word is long, as in these two it may be,
// and some readers take the line's end and blank for a part of the text.
func joinNames(w *bytes.Buffer) {
	text := w.Bytes()
	for _, name := range []string{"\r\nList-Unsubscribe:", "\r\nMessage-ID:"} {
		header, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		if i := bytes.Index(header, []byte(name+"\r\n")); i >= 0 {
			text = slices.Delete(text, i+len(name), i+len(name)+len("\r\n"))
		}
	}
	w.Truncate(len(text))
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
