package timeline

import (
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
)

// EventView is a status event with its position, as JSON.
type EventView struct {
	models.StatusEvent `json:",inline"`

	At      string `json:"record"`
	Source  string `json:"source,omitzero"`
	DeltaMS *int64 `json:"delta_ms,omitzero"`
}

// View returns the event as JSON. Before is the time of the event before it;
// zero means that there is none.
func (e *Event) View(before time.Time) EventView {
	v := EventView{StatusEvent: e.StatusEvent, At: e.At.String(), Source: e.Source.String()}
	if !before.IsZero() {
		v.DeltaMS = new(e.Timestamp.Sub(before).Milliseconds())
	}
	return v
}

// DeliveryView is a delivery as JSON.
type DeliveryView struct {
	Source   string      `json:"source,omitzero"`
	Events   []EventView `json:"events"`
	Letter   *dlq.View   `json:"dead_letter,omitzero"`
	Standing string      `json:"standing"`
}

// View is a story as JSON.
type View struct {
	MessageID  string         `json:"message_id"`
	Channel    models.Channel `json:"channel,omitzero"`
	FoundBy    string         `json:"found_by,omitzero"`
	Deliveries []DeliveryView `json:"deliveries"`
	Looked     []string       `json:"looked_in"`
}

// View returns the story as JSON, as it stands at a time. Words puts into words
// why a place could not be searched.
func (s *Story) View(now time.Time, words func(error) string) View {
	v := View{MessageID: s.MessageID, Channel: s.Channel, FoundBy: s.By, Deliveries: []DeliveryView{}}
	for i := range s.Deliveries {
		d := &s.Deliveries[i]
		one := DeliveryView{Source: d.Source.String(), Events: []EventView{}, Standing: d.Standing(now)}
		var before time.Time
		for j := range d.Events {
			one.Events = append(one.Events, d.Events[j].View(before))
			before = d.Events[j].Timestamp
		}
		if d.Letter != nil {
			one.Letter = new(d.Letter.View())
		}
		v.Deliveries = append(v.Deliveries, one)
	}
	for _, l := range s.Looked {
		text := l.Text
		if l.Err != nil {
			text = words(l.Err)
		}
		v.Looked = append(v.Looked, text)
	}
	return v
}
