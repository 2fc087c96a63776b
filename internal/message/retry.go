package message

import (
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/models"
)

// RetryMeta adds to the meta of a retry event what the next owner needs to go
// on; Apply reads it. Withdrawn says that the attempt called nobody, or not
// all, and does not count.
func (p *Progress) RetryMeta(meta map[string]string, next time.Time, withdrawn bool) {
	meta[models.MetaNextAttemptAt] = next.UTC().Format(time.RFC3339Nano)
	if len(p.recipients) > 1 {
		meta[models.MetaOpenRecipients] = list(p.With(Open, Unclassified))
		for key, s := range map[string]RecipientState{models.MetaRefusedRecipients: Refused, models.MetaAssumedRecipients: Indeterminate} {
			if numbers := list(p.With(s)); numbers != "" {
				meta[key] = numbers
			}
		}
	}
	if f := p.FailureOf(Refused); f != nil {
		meta[models.MetaRefusedError] = f.Err.Error()
		if f.Response.Code != 0 {
			meta[models.MetaRefusedCode] = strconv.Itoa(f.Response.Code)
		}
	}
	if withdrawn {
		meta[models.MetaNotCalled] = strconv.Itoa(p.run)
	}
}

// list writes "0,4,17".
func list(recipients []int) string {
	var b strings.Builder
	for n, i := range recipients {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(i))
	}
	return b.String()
}
