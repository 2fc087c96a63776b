package timeline

import (
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/dlq"
)

// DeliveryView is a delivery as JSON.
type DeliveryView struct {
	Source   string    `json:"source,omitzero"`
	Events   []Event   `json:"events"`
	Letter   *dlq.View `json:"dead_letter,omitzero"`
	Standing string    `json:"standing"`
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
		one := DeliveryView{Source: d.Source.String(), Events: d.Events, Standing: d.Standing(now)}
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
