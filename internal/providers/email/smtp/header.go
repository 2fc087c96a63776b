package smtp

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// joinNames puts the first word of each header on the line of its name. The
// library begins a new line where that word is long, and some readers take the
// line's end and blank for a part of the text.
func joinNames(w *bytes.Buffer) {
	text := w.Bytes()
	kept, at := 0, 0 // what is kept of the text, and up to where it was looked at
	for {
		n := bytes.Index(text[at:], []byte("\r\n"))
		if n <= 0 { // the header's end
			break
		}
		line := text[at : at+n]
		if bytes.IndexByte(line, ':') != n-1 || line[0] == ' ' {
			line = text[at : at+n+2]
		}
		kept += copy(text[kept:], line)
		at += n + 2
	}
	if kept < at {
		w.Truncate(kept + copy(text[kept:], text[at:]))
	}
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
