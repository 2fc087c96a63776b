package alerts_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// What kafka_exporter says of consumer groups, at its default settings: lag and
// members also of a group that nobody is in.
const (
	groupLag     = "kafka_consumergroup_lag"
	groupMembers = "kafka_consumergroup_members"
)

// working starts a worker of a channel and waits until it works.
func working(t *testing.T, channel models.Channel) (*stage.Stage, *stage.Worker) {
	t.Helper()
	s := stage.New(t, channel, stage.Options{Partitions: 1})
	w := s.Work(map[string]string{"COMMIT_INTERVAL_SECONDS": "0.1"})
	w.WaitReady(http.StatusOK)
	return s, w
}

// wants fails unless just these alerts fire, each with its channel.
func (h *history) wants(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := h.firing(t); !slices.Equal(got, want) {
		t.Errorf("%s: firing is %q, want %q", when, got, want)
	}
}

// A channel that loses its last worker is alerted on, and no other: neither one
// that goes on nor one that nobody runs. Requests that wait make no difference.
func TestChannelWithoutWorker(t *testing.T) {
	t.Parallel()
	_, email := working(t, models.Email)
	s, sms := working(t, models.SMS)
	h := newHistory()
	for range 3 {
		h.scrape(t, email, sms)
	}
	sms.Stop()
	s.PutMany(5)
	h.scrape(t, email)
	h.wants(t, "as in a restart") // nothing, before it has lasted
	for range 2 {
		h.scrape(t, email)
	}
	h.wants(t, "gone", "MessagingNoWorker sms")

	// Another one takes over.
	sms = s.Work(nil)
	s.Committed()
	h.scrape(t, email, sms)
	h.wants(t, "back")
}

// Prometheus restarts while the workers go: what it has stored still shows it.
// Where they did not go, nothing fires.
func TestPrometheusWasAway(t *testing.T) {
	t.Parallel()
	s, sms := working(t, models.SMS)
	for name, gone := range map[string]bool{"and so is the worker": true, "alone": false} {
		h := newHistory()
		for range 3 {
			h.scrape(t, sms)
		}
		h.away(2 * time.Hour)
		h.scrape(t)
		if !gone {
			h.scrape(t, sms)
			h.wants(t, "Prometheus was away "+name)
			continue
		}
		for range 2 {
			h.scrape(t)
		}
		h.wants(t, "Prometheus was away, "+name, "MessagingNoWorker sms")
		for range 10 {
			h.scrape(t)
		}
		h.wants(t, "nobody is there", "MessagingNoWorker sms", "MessagingNotMonitored -")
		h.away(25 * time.Hour)
		for range 11 {
			h.scrape(t)
		}
		h.wants(t, "taken out of service a day ago", "MessagingNotMonitored -")
	}
	s.Committed()
}

// One of several that does not answer is alerted on by its name.
func TestWorkerUnreachable(t *testing.T) {
	t.Parallel()
	s, w := working(t, models.SMS)
	twin := s.Work(nil)
	twin.WaitReady(http.StatusOK)
	h := newHistory()
	for range 2 {
		h.scrape(t, w, twin)
	}
	for range 6 {
		h.scrape(t, w, nil)
	}
	h.wants(t, "one of two is down", "MessagingWorkerUnreachable sms")
	for range 6 {
		h.scrape(t, nil, nil)
	}
	h.wants(t, "both are down", "MessagingNoWorker sms", "MessagingWorkerUnreachable sms")
}

// Workers that run and own nothing read nothing, and export neither lag nor
// anything else that another rule reads.
func TestNothingAssigned(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1, NoTopics: true})
	w := s.Work(nil)
	w.WaitReady(http.StatusServiceUnavailable)
	h := newHistory()
	for range 6 {
		h.scrape(t, w)
	}
	h.wants(t, "its topic is missing", "MessagingNothingAssigned sms")
}

// A pending alert outlives the moment in which its series are nobody's: one
// worker has ended and the next has not asked for its lag yet.
func TestPendingAlertOutlivesAHandOver(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	s.PutOne(stage.Hints("scenario_latency_ms", "100000"))
	settings := map[string]string{"PROVIDER_TIMEOUT_SECONDS": "120"}
	w := s.Work(settings)
	waitLag(t, w)
	h := newHistory()
	for range 4 {
		h.scrape(t, w)
	}
	h.wants(t, "pending")
	h.scrape(t, nil)
	for range 2 {
		h.scrape(t, w)
	}
	h.wants(t, "a scrape failed in between", "MessagingStandsStill sms")
}

// kafka_exporter sees what waits even where Prometheus never saw a worker.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	h := newHistory()
	export := func(group string, members float64, lags ...float64) {
		of := labels.FromStrings("consumergroup", group)
		h.add(groupMembers, labels.NewBuilder(of), members)
		for partition, lag := range lags {
			h.add(groupLag, labels.NewBuilder(of).Set("partition", strconv.Itoa(partition)).Set("topic", "t"), lag)
		}
	}
	for range 3 {
		h.now = h.now.Add(time.Minute)
		export("sms-workers", 0, 3, -1) // -1: never committed
		export("email-workers", 2, 50)  // slow, but read
		export("whatsapp-workers", 0, 0)
		export("whatsapp-workers.bulk", 0, 9) // a lane has a group of its own
		export("somebody-else", 0, 7)
	}
	h.wants(t, "nobody in the group", "MessagingNobodyReads sms", "MessagingNobodyReads whatsapp")
}
