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

// laned is a stage whose channel has all lanes.
type laned struct {
	*stage.Stage

	t *testing.T
}

// put produces a request of a lane whose record is that old.
func (l *laned) put(lane models.Lane, age time.Duration, edits map[string]any) {
	l.t.Helper()
	id := stage.NewID()
	l.Produce(&kgo.Record{
		Topic: l.RequestTopic(lane), Key: []byte(id), Timestamp: time.Now().Add(-age), Value: stage.Request(l.Channel, id, edits),
	})
}

// waits produces a request that the provider takes at the second attempt, and
// waits until its age is exported, in seconds as a pattern.
func (l *laned) waits(w *stage.Worker, lane models.Lane, age time.Duration, exported string) {
	l.t.Helper()
	l.put(lane, age, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "300000"))
	pattern := regexp.MustCompile(`messaging_oldest_unfinished_seconds\{.*lane="` + string(lane) + `".*\} ` + exported)
	stage.Eventually(l.t, func() string {
		if _, body := w.Get("/metrics"); !pattern.MatchString(body) {
			return "the age of the old request is not exported"
		}
		return ""
	})
}

// A lane's trouble is alerted on though other lanes have none, and what is no
// trouble for its lane is not.
func TestAlertsOfLanes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, alert string // "" for none
		play        func(l *laned, w *stage.Worker, scrape func())
	}{
		{"each lane works", "", func(l *laned, _ *stage.Worker, scrape func()) {
			for round := 1; round <= 12; round++ {
				l.put(models.LaneHigh, 0, nil)
				l.put(models.LaneNormal, time.Hour, nil)
				l.put(models.LaneBulk, time.Hour, nil)
				l.Events(3 * round)
				scrape()
			}
		}},
		{"codes are late", "MessagingHighLaneSlow", func(l *laned, _ *stage.Worker, scrape func()) {
			for round := 1; round <= 12; round++ {
				l.put(models.LaneHigh, time.Minute, nil)
				l.Events(round)
				scrape()
			}
		}},
		{"a code does not end", "MessagingHighLaneSlow", func(l *laned, w *stage.Worker, scrape func()) {
			l.waits(w, models.LaneHigh, 10*time.Minute, `6\d\d`)
			for range 8 {
				scrape()
			}
		}},
		{"a campaign takes hours", "", func(l *laned, w *stage.Worker, scrape func()) {
			l.waits(w, models.LaneBulk, 10*time.Hour, `36\d\d\d`)
			for range 8 {
				scrape()
			}
		}},
		{"a campaign takes days", "MessagingOldestUnfinished", func(l *laned, w *stage.Worker, scrape func()) {
			l.waits(w, models.LaneBulk, 25*time.Hour, `9(\.|\d)`)
			for range 8 {
				scrape()
			}
		}},
		{"codes fail beside a campaign", "MessagingFailuresHigh", func(l *laned, _ *stage.Worker, scrape func()) {
			for round := 1; round <= 12; round++ {
				l.put(models.LaneHigh, 0, stage.Hints("scenario", "permanent"))
				for range 15 {
					l.put(models.LaneBulk, 0, nil)
				}
				l.Events(16 * round)
				scrape()
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, h := &laned{stage.New(t, models.SMS, stage.Options{Partitions: 1, High: 1, Bulk: 1}), t}, newHistory()
			w := l.Work(nil)
			w.WaitReady(http.StatusOK)
			tt.play(l, w, func() { h.scrape(t, w) })
			var want []string
			if tt.alert != "" {
				want = []string{tt.alert + " sms"}
			}
			if got := h.firing(t); !slices.Equal(got, want) {
				t.Errorf("firing is %q, want %q", got, want)
			}
		})
	}
}

// A lane that nobody reads is alerted on though its channel is read.
func TestLaneNotAssigned(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	w := s.Work(map[string]string{"KAFKA_SMS_REQUEST_TOPIC_HIGH": s.Topic("request.high")})
	s.PutMany(1)
	s.Events(1)
	h := newHistory()
	for range 6 {
		h.scrape(t, w)
	}
	h.wants(t, "the topic of lane high is missing", "MessagingNothingAssigned sms")
}
