package answer

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
)

// Clean returns a provider's text as Omit leaves it, cut to what an event may
// hold.
func Clean(text string, own ...string) string {
	return models.CutRunes(Omit(text, own...), models.MaxTextRunes)
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
