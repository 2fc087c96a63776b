package main

import (
	"fmt"
	"io"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
	"messaging-worker/internal/ops/timeline"
)

// eventJSON is a status event as msgctl prints it: the event itself and where
// it lies.
type eventJSON struct {
	models.StatusEvent `json:",inline"`

	At      string `json:"record"`
	Source  string `json:"source,omitzero"`
	DeltaMS *int64 `json:"delta_ms,omitzero"`
}

// eventView prepares an event for printing. Before is when the one before it
// was; zero means that there is none.
func eventView(e *timeline.Event, before time.Time) eventJSON {
	v := eventJSON{StatusEvent: e.StatusEvent, At: e.At.String(), Source: e.Source.String()}
	if !before.IsZero() {
		v.DeltaMS = new(e.Timestamp.Sub(before).Milliseconds())
	}
	return v
}

type deliveryJSON struct {
	Source   string      `json:"source,omitzero"`
	Events   []eventJSON `json:"events"`
	Letter   *dlq.View   `json:"dead_letter,omitzero"`
	Standing string      `json:"standing"`
}

type storyJSON struct {
	MessageID  string         `json:"message_id"`
	Channel    models.Channel `json:"channel,omitzero"`
	FoundBy    string         `json:"found_by,omitzero"`
	Deliveries []deliveryJSON `json:"deliveries"`
	Looked     []string       `json:"looked_in"`
}

func storyView(s *timeline.Story) storyJSON {
	v := storyJSON{MessageID: s.MessageID, Channel: s.Channel, FoundBy: s.By, Deliveries: []deliveryJSON{}, Looked: s.Looked}
	for i := range s.Deliveries {
		d := &s.Deliveries[i]
		one := deliveryJSON{Source: d.Source.String(), Events: []eventJSON{}, Standing: d.Standing(time.Now())}
		var before time.Time
		for j := range d.Events {
			one.Events = append(one.Events, eventView(&d.Events[j], before))
			before = d.Events[j].Timestamp
		}
		if d.Letter != nil {
			one.Letter = new(d.Letter.View())
		}
		v.Deliveries = append(v.Deliveries, one)
	}
	return v
}

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
		var before time.Time
		for j := range d.Events {
			e := &d.Events[j]
			delta := "-"
			if !before.IsZero() {
				delta = e.Timestamp.Sub(before).Round(time.Millisecond).String()
			}
			before = e.Timestamp
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
