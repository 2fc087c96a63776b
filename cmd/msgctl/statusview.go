package main

import (
	"fmt"
	"io"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/timeline"
)

// writeStory writes a message's life for a person.
func writeStory(w io.Writer, s *timeline.Story) {
	fmt.Fprintf(w, "%s, %s, found by %s\n", s.MessageID, s.Channel, s.By)
	for i := range s.Deliveries {
		d := &s.Deliveries[i]
		source := d.Source.String()
		if source == "" {
			source = "a request whose place is not known"
		}
		fmt.Fprintf(w, "\ndelivery of %s\n", source)
		if len(d.Events) > 0 {
			fmt.Fprintln(w, "TIME\tDELTA\tEVENT\tATTEMPT\tDETAILS")
		}
		for j := range d.Events {
			e, delta := &d.Events[j], "-"
			if j > 0 {
				delta = e.Timestamp.Sub(d.Events[j-1].Timestamp).Round(time.Millisecond).String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", e.Timestamp.Format(timeForm), delta, e.EventType, e.Attempt, details(e))
		}
		writeDeadLetter(w, d.Letter)
		fmt.Fprintf(w, "stands: %s\n", d.Standing(time.Now()))
	}
}

func writeDeadLetter(w io.Writer, l *dlq.Letter) {
	if l == nil {
		return
	}
	fmt.Fprintf(w, "dead letter %s: %s after %s: %s\n", l.At, l.FailureType, counted(l.Attempts, "attempt"), l.LastError)
	if failed := l.Meta[models.MetaFailedRecipients]; failed != "" {
		fmt.Fprintf(w, "  failed recipients %s\n", failed)
	}
}
