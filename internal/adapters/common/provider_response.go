package common

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/models"
)

// omitted stands where an answer quoted the request.
const omitted = "[omitted]"

// Clean returns a provider's text without the request's own texts in it, cut
// to what an event may hold. Own lists the request's recipients, sender,
// subject and body; a text of less than four bytes is too common to look for.
func Clean(text string, own ...string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	for _, s := range own {
		for _, form := range forms(s, len(text)) {
			if len(form) >= 4 {
				text = strings.ReplaceAll(text, form, omitted)
			}
		}
	}
	return models.CutRunes(text, models.MaxTextRunes)
}

// forms returns how a text may come back in an answer of that length: as it
// is, without what is around it, and as JSON writes it, with and without
// characters beyond ASCII.
func forms(s string, length int) []string {
	core := strings.TrimPrefix(strings.TrimSpace(s), "+")
	if len(core) > length {
		return nil
	}
	list := []string{s, core}
	if quoted, err := jsontext.AppendQuote(nil, core); err == nil {
		if q := string(quoted[1 : len(quoted)-1]); q != core {
			list = append(list, q, strings.ReplaceAll(q, "/", `\/`))
		}
	}
	if ascii := strconv.QuoteToASCII(core); len(ascii) != len(core)+2 {
		list = append(list, ascii[1:len(ascii)-1])
	}
	return list
}

// TimedOut is a call that ran into its limit. Its text names the limit as it
// was set, not what a clock measured: "timeout after 30s".
func TimedOut(limit time.Duration) (models.ProviderResponse, *Failure) {
	f := Transient(fmt.Errorf("timeout after %s", limit))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusTimeout}, f
}
