package timeline

import (
	"fmt"
	"strings"
	"time"

	"messaging-worker/internal/models"
)

// standing says in a line what state a delivery is in.
func (d *Delivery) standing(now time.Time) string {
	last := d.last()
	at := last.Timestamp.Format(time.RFC3339)
	switch last.EventType {
	case models.EventQueued:
		return "queued since " + at + ": no attempt yet"
	case models.EventAttempt:
		return fmt.Sprintf("attempt %d has been under way since %s", last.Attempt, at)
	case models.EventRetry:
		return d.waiting(now)
	case models.EventSent:
		return fmt.Sprintf("sent at %s with attempt %d, %s after its first event",
			at, last.Attempt, last.Timestamp.Sub(d.Events[0].Timestamp).Round(time.Millisecond))
	case models.EventFailed:
		return fmt.Sprintf("failed at %s: %s", at, d.failure())
	case models.EventCanceled:
		return canceled(&last)
	}
	if d.Letter != nil {
		return "failed; its events are gone, its dead letter is left: " + d.failure()
	}
	return "unknown: its last event is of type " + string(last.EventType)
}

// canceled says why a message was canceled, and who had got it by then.
func canceled(last *models.StatusEvent) string {
	text := fmt.Sprintf("canceled at %s before attempt %d: %s",
		last.Timestamp.Format(time.RFC3339), last.Attempt+1, strings.TrimPrefix(last.Error, "canceled: "))
	if r := last.ProviderResponse; r != nil && r.Meta[models.MetaAcceptedRecipients] != "" {
		return text + "; sent before to recipients " + r.Meta[models.MetaAcceptedRecipients]
	}
	return text
}

func (d *Delivery) waiting(now time.Time) string {
	last := d.last()
	var meta map[string]string
	if last.ProviderResponse != nil {
		meta = last.ProviderResponse.Meta
	}
	next := last.Attempt + 1
	if meta[models.MetaNotCalled] != "" { // a withdrawn attempt is published again
		next = last.Attempt
	}
	text := fmt.Sprintf("waits for attempt %d", next)
	if due, err := time.Parse(time.RFC3339, meta[models.MetaNextAttemptAt]); err == nil && due.After(now) {
		text += fmt.Sprintf(", due at %s, in %s", due.Format(time.RFC3339), due.Sub(now).Round(time.Second))
	} else if err == nil {
		text += fmt.Sprintf(", due since %s: no worker has it, or its provider's breaker or an order holds it up", due.Format(time.RFC3339))
	}
	if open := meta[models.MetaOpenRecipients]; open != "" {
		text += "; open recipients " + open
	}
	return text
}

func (d *Delivery) failure() string {
	if d.Letter == nil {
		return "no dead letter of it is left"
	}
	text := fmt.Sprintf("dead letter %s, %s", d.Letter.Record, d.Letter.FailureType)
	if n := d.Letter.Replays; n > 0 {
		text += fmt.Sprintf(", had been replayed (%d)", n)
	}
	return text
}
