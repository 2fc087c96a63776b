package message

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/models"
)

// Apply takes one event of the message. Events may come in any order and
// repeated: what is known afterwards is the same.
//
//   - No attempt that was seen is forgotten, unless its last run was withdrawn.
//   - A recipient that any retry does not list as open is not open, and stays
//     refused or indeterminate where any says so: an event of a dead owner may
//     be written behind what its successor wrote without knowing it.
func (p *Progress) Apply(ev *models.StatusEvent) {
	switch ev.EventType {
	case models.EventQueued:
		p.queued = true
	case models.EventAttempt:
		p.published(ev, 0)
	case models.EventRetry:
		p.retried(ev)
	case models.EventSent, models.EventFailed, models.EventCanceled: // nothing is asked of the message any more
	}
}

// published takes an attempt's number. A run is known by its number too, so
// that neither order nor repetition counts.
func (p *Progress) published(ev *models.StatusEvent, withdrawn int) {
	if ev.Attempt > p.attempt {
		p.attempt, p.run, p.withdrawn = ev.Attempt, 0, 0
	}
	if ev.Attempt == p.attempt {
		p.run = max(p.run, ev.Run, 1)
		p.withdrawn = max(p.withdrawn, withdrawn)
	}
	p.lastEvent = later(p.lastEvent, ev.Timestamp)
}

func (p *Progress) retried(ev *models.StatusEvent) {
	var meta map[string]string
	if ev.ProviderResponse != nil {
		meta = ev.ProviderResponse.Meta
	}
	withdrawn, _ := strconv.Atoi(meta[models.MetaNotCalled]) // foreign text withdraws nothing
	p.published(ev, withdrawn)
	if p.firstFailed.IsZero() || ev.Timestamp.Before(p.firstFailed) {
		p.firstFailed = ev.Timestamp
	}
	next, _ := time.Parse(time.RFC3339Nano, meta[models.MetaNextAttemptAt]) // unreadable: due now
	switch {
	case withdrawn > 0:
		p.notBefore = later(p.notBefore, next) // a call of its round may have been told a Retry-After
	case ev.Attempt > p.ended:
		p.ended, p.nextAt = ev.Attempt, next
	case ev.Attempt == p.ended:
		p.nextAt = later(p.nextAt, next)
	}
	if open, ok := meta[models.MetaOpenRecipients]; ok { // else there is but one recipient
		p.listed(indexes(open), indexes(meta[models.MetaRefusedRecipients]), indexes(meta[models.MetaAssumedRecipients]))
		p.refusedFor(ev.Attempt, meta)
	}
}

// listed takes the recipients that a retry lists. Whoever it does not list was
// accepted.
func (p *Progress) listed(open, refused, indeterminate []int) {
	for _, i := range slices.Concat(open, refused, indeterminate) {
		p.grow(i)
	}
	told := slices.Repeat([]RecipientState{Accepted}, len(p.states))
	mark(told, refused, Refused)
	mark(told, indeterminate, Indeterminate)
	mark(told, open, Open)
	for i, state := range told {
		p.states[i] = max(p.states[i], state)
	}
	p.others = max(p.others, Accepted)
}

func mark(states []RecipientState, recipients []int, s RecipientState) {
	for _, i := range recipients {
		if i < len(states) {
			states[i] = s
		}
	}
}

// refusedFor takes what an owner says of a refusal: that of the highest attempt
// stands, and of two owners at the same one the greater text, so that order
// does not count.
func (p *Progress) refusedFor(attempt int, meta map[string]string) {
	text := meta[models.MetaRefusedError]
	if text == "" || attempt < p.refusal.attempt || attempt == p.refusal.attempt && text <= p.refusal.text {
		return
	}
	code, _ := strconv.Atoi(meta[models.MetaRefusedCode])   // absent: none
	p.refusal = refusal{attempt, strings.Clone(text), code} // not the whole event
}

// Checkpoint takes what was known of a round beyond the events: of calls that
// had ended while others of it were under way.
func (p *Progress) Checkpoint(r Resolved) {
	p.resolve(r.Accepted, Accepted)
	p.resolve(r.Refused, Refused)
	p.resolve(r.Indeterminate, Indeterminate)
}

// resolve takes numbers from anywhere: those that the message has not are left
// out.
func (p *Progress) resolve(recipients []int, s RecipientState) {
	for _, i := range recipients {
		if p.grow(i); i >= 0 && i < len(p.states) {
			p.states[i] = max(p.states[i], s)
		}
	}
}

// maxRecipients bounds the numbers that foreign events may name.
const maxRecipients = 1 << 14

// grow makes room for a recipient's number. A number that the message has not
// gets none.
func (p *Progress) grow(i int) {
	bound := maxRecipients
	if n := len(p.recipients); n > 0 {
		bound = p.recipients[n-1] + 1
	}
	if n := len(p.states); i >= n && i < bound {
		p.states = append(p.states, slices.Repeat([]RecipientState{p.others}, i+1-n)...)
	}
}

// indexes reads "0,4,17"; what is no number is left out.
func indexes(list string) []int {
	var out []int
	for text := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(text); err == nil && n >= 0 {
			out = append(out, n)
		}
	}
	return out
}

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

// CanceledMeta adds to the meta of the event of a canceled message who has it.
func (p *Progress) CanceledMeta(meta map[string]string) {
	if accepted := list(p.With(Accepted)); accepted != "" {
		meta[models.MetaAcceptedRecipients] = accepted
	}
}

// list writes "0,4,17".
func list(recipients []int) string {
	texts := make([]string, len(recipients))
	for n, i := range recipients {
		texts[n] = strconv.Itoa(i)
	}
	return strings.Join(texts, ",")
}
