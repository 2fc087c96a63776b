package alerts_test

import (
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// ordered is a stage with a control topic, and a worker that reads it.
type ordered struct {
	*stage.Stage

	t *testing.T
	w *stage.Worker
}

func newOrdered(t *testing.T, topicExists bool) *ordered {
	t.Helper()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	if topicExists {
		if _, err := s.Admin.CreateTopic(s.Ctx, 1, 1, nil, s.Topic("control")); err != nil {
			t.Fatal(err)
		}
	}
	return &ordered{s, t, s.Work(map[string]string{"KAFKA_CONTROL_TOPIC": s.Topic("control")})}
}

// give writes a record to the control topic.
func (o *ordered) give(key string, value []byte) {
	o.t.Helper()
	o.Produce(&kgo.Record{Topic: o.Topic("control"), Key: []byte(key), Value: value})
}

// order gives an order of the channel, for an hour.
func (o *ordered) order(order models.Order) {
	o.t.Helper()
	order.Channel, order.Until, order.Reason, order.By, order.At = models.SMS, time.Now().Add(time.Hour), "test", "me", time.Now()
	value, err := order.Encode()
	if err != nil {
		o.t.Fatal(err)
	}
	o.give(order.Key(), value)
}

// exports waits until the worker exports a metric as a pattern says.
func (o *ordered) exports(pattern string) {
	o.t.Helper()
	metric := regexp.MustCompile(`(?m)^messaging_` + pattern + `$`)
	stage.Eventually(o.t, func() string {
		if _, body := o.w.Get("/metrics"); !metric.MatchString(body) {
			return metric.String() + " is not exported"
		}
		return ""
	})
}

// Orders are alerted on where they last, or cannot be read; what they do is no
// fault of another kind.
func TestAlertsOfOrders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		missing bool // the control topic
		play    func(o *ordered, scrape func())
		want    []string
	}{
		{"a pause of minutes", false, func(o *ordered, scrape func()) { pause(o, scrape, 30) }, nil},
		{"a pause that lasts", false, func(o *ordered, scrape func()) { pause(o, scrape, 62) }, []string{"MessagingOrderInForce"}},
		{"the topic is missing", true, func(o *ordered, scrape func()) {
			o.exports(`control_age_seconds\{.*\} (3[1-9]|[4-9]\d|\d\d\d)(\.\d+)?`)
			for range 8 {
				scrape()
			}
		}, []string{"MessagingNothingAssigned", "MessagingOrdersNotRead"}}, // no request is taken before orders are known
		{"a record that is no order", false, func(o *ordered, scrape func()) {
			o.w.WaitReady(http.StatusOK)
			scrape()
			o.give("pause/sms", []byte("{}"))
			o.exports(`control_errors_total\{.*\} 1`)
			scrape()
		}, []string{"MessagingOrderUnreadable"}},
		{"failures beside what is canceled", false, func(o *ordered, scrape func()) {
			o.w.WaitReady(http.StatusOK)
			o.order(models.Order{Action: models.ActionCancel, Tenant: "acme"})
			for round := 1; round <= 12; round++ {
				o.PutEach(10, func(int) map[string]any { return map[string]any{"tenant_id": "acme"} })
				o.PutMany(2)
				o.PutOne(stage.Hints("scenario", "permanent"))
				o.Events(13 * round)
				scrape()
			}
		}, []string{"MessagingFailuresHigh"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, h := newOrdered(t, !tt.missing), newHistory()
			tt.play(o, func() { h.scrape(t, o.w) })
			var want []string
			for _, alert := range tt.want {
				want = append(want, alert+" sms")
			}
			if got := h.firing(t); !slices.Equal(got, want) {
				t.Errorf("firing is %q, want %q", got, want)
			}
		})
	}
}

// pause pauses the channel, with an old request that waits, for some minutes.
func pause(o *ordered, scrape func(), minutes int) {
	o.order(models.Order{Action: models.ActionPause})
	o.w.WaitReady(http.StatusOK)
	o.exports(`paused\{.*\} 1`)
	id := stage.NewID()
	o.Produce(&kgo.Record{Key: []byte(id), Timestamp: time.Now().Add(-time.Hour), Value: stage.Request(o.Channel, id, nil)})
	o.exports(`oldest_unfinished_seconds\{.*\} 36\d\d(\.\d+)?`)
	o.exports(`consumer_lag\{.*\} 1`)
	for range minutes {
		scrape()
	}
}
