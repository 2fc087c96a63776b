package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// LabelLane is the label of what is counted for each lane of its own.
const LabelLane = "lane"

// Lane counts what goes by one lane of the channel. It is safe for concurrent
// use.
type Lane struct {
	*Metrics

	messages              *prometheus.CounterVec
	sentMessages          prometheus.Counter // of messages, which nearly all are
	durations, queueWaits prometheus.Histogram
}

// Lane makes the metrics of a lane, once for each.
func (m *Metrics) Lane(lane models.Lane) *Lane {
	with := prometheus.WrapRegistererWith(prometheus.Labels{LabelLane: string(lane)}, m.register)
	l := &Lane{Metrics: m, messages: counters(with, "messages_total", "Messages that have ended, by outcome.", "outcome", "failure_type")}
	l.sentMessages = l.messages.WithLabelValues(outcomeSent, "")
	l.messages.WithLabelValues(outcomeCanceled, "")
	for _, f := range failureTypes() {
		l.messages.WithLabelValues(outcomeFailed, string(f)) // those that have not happened are zero, not absent
	}
	l.durations = histogram(with, "message_duration_seconds", "Time from the timestamp of the request's record to the acknowledgement of its final event.",
		.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
	l.queueWaits = histogram(with, "queue_wait_seconds", "Time from the timestamp of the request's record to the start of its first provider call.",
		.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)
	return l
}

// queueWait is how long a message waited until its first call started: the
// earliest one of its first attempt that the provider took.
type queueWait struct {
	lane      *Lane
	requested time.Time
	first     atomic.Int64 // when that call started, in nanoseconds since 1970; 0: not yet
	counted   atomic.Bool
}

// begin notes that a call starts.
func (w *queueWait) begin(call common.Call, now time.Time) {
	if call.Attempt == 1 {
		w.first.CompareAndSwap(0, now.UnixNano())
	}
}

// end counts the wait, once it is certain that a call was made.
func (w *queueWait) end(call common.Call, begun time.Time, made bool) {
	switch {
	case call.Attempt > 1:
	case !made:
		w.first.CompareAndSwap(begun.UnixNano(), 0)
	case models.UsableTime(w.requested) && w.counted.CompareAndSwap(false, true):
		if first := time.Unix(0, w.first.Load()); first.Unix() > 0 && first.Before(begun) {
			begun = first
		}
		w.lane.queueWaits.Observe(max(0, begun.Sub(w.requested).Seconds()))
	}
}
