package common

import (
	"fmt"
	"strings"
	"time"

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
		for _, form := range []string{s, strings.TrimPrefix(s, "+")} {
			if len(form) >= 4 {
				text = strings.ReplaceAll(text, form, omitted)
			}
		}
	}
	return models.CutRunes(text, models.MaxTextRunes)
}

// TimedOut is a call that ran into its limit. Its text names the limit as it
// was set, not what a clock measured: "timeout after 30s".
func TimedOut(limit time.Duration) (models.ProviderResponse, *Failure) {
	f := Transient(fmt.Errorf("timeout after %s", limit))
	f.Unreachable = true
	return models.ProviderResponse{Status: models.StatusTimeout}, f
}
