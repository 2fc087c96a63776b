// Package telemetry counts what a worker does and follows messages through it.
// Its metrics and traces are wrapped around the engine's channel and
// publisher: the engine knows of neither.
package telemetry

import (
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"messaging-worker/internal/models"
)

// Namespace begins the name of every metric of ours.
const Namespace = "messaging"

// Metrics counts what one worker does. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	register prometheus.Registerer // adds the channel to every metric

	attempts    map[string]prometheus.Counter // by result
	calls       prometheus.Histogram
	events      map[models.EventType]prometheus.Counter
	deadLetters *prometheus.CounterVec

	sent, failed, canceled, called atomic.Uint64 // for Totals
}

// The values of labels, where they are not those of models.
const (
	resultOK = "ok" // of a call

	outcomeSent     = string(models.EventSent)
	outcomeFailed   = string(models.EventFailed)
	outcomeCanceled = string(models.EventCanceled)
)

// failureTypes are those of messages that have failed.
func failureTypes() [4]models.FailureType {
	return [...]models.FailureType{models.FailurePermanent, models.FailureTransient, models.FailureValidation, models.FailureUnknown}
}

// NewMetrics makes the metrics of a worker of that channel and version.
func NewMetrics(channel models.Channel, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.register = prometheus.WrapRegistererWith(prometheus.Labels{"channel": string(channel)}, m.registry)
	m.register.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.deadLetters = counters(m.register, "dlq_published_total", "Dead letters acknowledged by Kafka.", "failure_type")
	for _, f := range failureTypes() {
		m.deadLetters.WithLabelValues(string(f)) // those that have not happened are zero, not absent
	}
	m.calls = histogram(m.register, "provider_call_duration_seconds", "How long provider calls take.",
		.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
	attempts := counters(m.register, "attempts_total", "Provider calls that have ended, by result.", "result")
	m.attempts = map[string]prometheus.Counter{}
	for _, result := range []string{resultOK, string(models.FailureTransient), string(models.FailurePermanent), string(models.FailureUnknown)} {
		m.attempts[result] = attempts.WithLabelValues(result)
	}
	events := counters(m.register, "events_published_total", "Status events acknowledged by Kafka.", "event_type")
	m.events = map[models.EventType]prometheus.Counter{}
	for _, e := range models.EventTypes() {
		m.events[e] = events.WithLabelValues(string(e))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: Namespace, Name: "build_info", Help: "Always 1; the labels tell what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.register.MustRegister(build)
	return m
}

func counters(with prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: Namespace, Name: name, Help: help}, labels)
	with.MustRegister(c)
	return c
}

func histogram(with prometheus.Registerer, name, help string, buckets ...float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: Namespace, Name: name, Help: help, Buckets: buckets})
	with.MustRegister(h)
	return h
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Registerer takes further metrics, to which it adds the channel.
func (m *Metrics) Registerer() prometheus.Registerer { return m.register }

// Totals are how many messages of all lanes have ended in which way, and how
// many provider calls have ended, since the start.
type Totals struct{ Sent, Failed, Canceled, Calls uint64 }

// Totals returns the present ones.
func (m *Metrics) Totals() Totals {
	return Totals{m.sent.Load(), m.failed.Load(), m.canceled.Load(), m.called.Load()}
}
