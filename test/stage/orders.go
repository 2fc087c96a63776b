package stage

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// Give orders something of the stage's workers, for a while. Like Lift it may be
// called by any goroutine.
func (s *Stage) Give(order models.Order, length time.Duration) {
	s.t.Helper()
	order.Until, order.Reason, order.By, order.At = time.Now().Add(length), "a test", "tester", time.Now().UTC()
	order.Channel = s.channelOf(order)
	value, err := order.Encode()
	if err != nil {
		s.t.Errorf("order %s: %v", order.Key(), err)
	}
	s.order(&kgo.Record{Key: []byte(order.Key()), Value: value})
}

// Lift ends what was ordered of the same scope.
func (s *Stage) Lift(order models.Order) {
	s.t.Helper()
	order.Channel = s.channelOf(order)
	s.order(&kgo.Record{Key: []byte(order.Key()), Headers: []kgo.RecordHeader{{Key: "by", Value: []byte("tester")}}})
}

func (s *Stage) channelOf(order models.Order) models.Channel {
	if order.MessageID != "" {
		return "" // of all channels
	}
	return s.Channel
}

func (s *Stage) order(r *kgo.Record) {
	s.t.Helper()
	r.Topic = s.Topic("control")
	if err := s.Client.ProduceSync(s.Ctx, r).FirstErr(); err != nil {
		s.t.Errorf("write an order: %v", err)
	}
}

// CreateControl makes the control topic.
func (s *Stage) CreateControl(replication int16) {
	s.t.Helper()
	Eventually(s.t, func() string { // one of that name may not be gone yet
		if _, err := s.Admin.CreateTopic(s.Ctx, 1, replication, map[string]*string{"cleanup.policy": new("compact,delete")}, s.Topic("control")); err != nil {
			return err.Error()
		}
		return ""
	})
}
