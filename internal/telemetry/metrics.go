// Package telemetry counts what a worker does and follows messages through it.
// Its metrics and traces are wrapped around the engine's channel and
// publisher: the engine knows of neither.
package telemetry

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// namespace begins the name of every metric of ours.
const namespace = "messaging"

// callBuckets suit a provider call, in seconds.
func callBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// messageBuckets suit a message, in seconds.
func messageBuckets() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
}

// Metrics counts what one worker does. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	register prometheus.Registerer // adds the channel to every metric

	messages     *prometheus.CounterVec
	attempts     map[string]prometheus.Counter // by result
	calls        prometheus.Histogram
	durations    prometheus.Histogram
	events       map[models.EventType]prometheus.Counter
	deadLetters  *prometheus.CounterVec
	sentMessages prometheus.Counter // of messages, which nearly all are

	sent, failed, called atomic.Uint64 // for Totals
}

// The results of provider calls.
const (
	resultOK      = "ok"
	resultUnknown = string(models.FailureUnknown)
)

// NewMetrics makes the metrics of a worker of that channel and version.
func NewMetrics(channel models.Channel, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.register = prometheus.WrapRegistererWith(prometheus.Labels{"channel": string(channel)}, m.registry)
	m.register.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.messages = m.counters("messages_total", "Messages that have ended, by outcome.", "outcome", "failure_type")
	m.deadLetters = m.counters("dlq_published_total", "Dead letters acknowledged by Kafka.", "failure_type")
	m.calls = m.histogram("provider_call_duration_seconds", "How long provider calls take.", callBuckets())
	m.durations = m.histogram("message_duration_seconds", "From the request's record timestamp to its acknowledged final event.", messageBuckets())
	m.sentMessages = m.messages.WithLabelValues("sent", "")
	for _, f := range []models.FailureType{models.FailurePermanent, models.FailureTransient, models.FailureValidation, models.FailureUnknown} {
		m.messages.WithLabelValues("failed", string(f)) // those that have not happened are zero, not absent
		m.deadLetters.WithLabelValues(string(f))
	}
	attempts := m.counters("attempts_total", "Provider calls that have ended, by result.", "result")
	m.attempts = map[string]prometheus.Counter{}
	for _, result := range []string{resultOK, string(models.FailureTransient), string(models.FailurePermanent), resultUnknown} {
		m.attempts[result] = attempts.WithLabelValues(result)
	}
	events := m.counters("events_published_total", "Status events acknowledged by Kafka.", "event_type")
	m.events = map[models.EventType]prometheus.Counter{}
	for _, e := range []models.EventType{models.EventQueued, models.EventAttempt, models.EventRetry, models.EventSent, models.EventFailed} {
		m.events[e] = events.WithLabelValues(string(e))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels tell what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.register.MustRegister(build)
	return m
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.register.MustRegister(c)
	return c
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	m.register.MustRegister(h)
	return h
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Registerer takes further metrics, to which it adds the channel.
func (m *Metrics) Registerer() prometheus.Registerer { return m.register }

// Totals returns how many messages were sent and failed and how many provider
// calls have ended since the start.
func (m *Metrics) Totals() (sent, failed, calls uint64) {
	return m.sent.Load(), m.failed.Load(), m.called.Load()
}

// Channel counts the provider calls of inner's deliveries.
func (m *Metrics) Channel(inner worker.Channel) worker.Channel { return countedChannel{inner, m} }

type countedChannel struct {
	worker.Channel

	metrics *Metrics
}

func (c countedChannel) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := c.Channel.Decode(rec)
	if err != nil {
		return d, err //nolint:wrapcheck // only *common.Violations
	}
	send := d.Send
	d.Send = func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		return c.metrics.send(ctx, call, send)
	}
	return d, nil
}

// send makes a provider call and counts it.
func (m *Metrics) send(
	ctx context.Context, call common.Call, send func(context.Context, common.Call) (models.ProviderResponse, error),
) (resp models.ProviderResponse, err error) {
	begun, result := time.Now(), resultUnknown // which is what a panic comes to
	made := true
	defer func() {
		if made && !errors.Is(ctx.Err(), context.Canceled) { // else it was cut by us
			m.called.Add(1)
			m.calls.Observe(time.Since(begun).Seconds())
			m.attempts[result].Inc()
		}
	}()
	resp, err = send(ctx, call)
	if f := common.Classify(err); f == nil {
		result = resultOK
	} else {
		result, made = string(f.Class), !f.NotCalled
	}
	return resp, err //nolint:wrapcheck // the engine classes it
}

// Publisher counts what is written to Kafka through inner.
func (m *Metrics) Publisher(inner worker.Publisher) worker.Publisher {
	return countedPublisher{inner, m}
}

type countedPublisher struct {
	inner   worker.Publisher
	metrics *Metrics
}

func (p countedPublisher) Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) worker.Ack {
	return &countedAck{
		Ack: p.inner.Status(ctx, src, ev), metrics: p.metrics, event: ev.EventType, failure: ev.FailureType, at: src.Timestamp,
	}
}

func (p countedPublisher) DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error {
	if err := p.inner.DLQ(ctx, src, rec); err != nil {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	p.metrics.deadLetters.WithLabelValues(string(rec.FailureType)).Inc()
	return nil
}

// countedAck counts an event once it is acknowledged. One goroutine waits.
type countedAck struct {
	worker.Ack

	metrics *Metrics
	event   models.EventType
	failure models.FailureType
	at      time.Time // of the request
	counted bool
}

func (a *countedAck) Wait(ctx context.Context) error {
	if err := a.Ack.Wait(ctx); err != nil || a.counted {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	a.counted = true
	m := a.metrics
	m.events[a.event].Inc()
	switch a.event {
	case models.EventSent:
		m.sent.Add(1)
		m.sentMessages.Inc()
	case models.EventFailed:
		m.failed.Add(1)
		m.messages.WithLabelValues("failed", string(a.failure)).Inc()
	default:
		return nil
	}
	if models.UsableTime(a.at) { // of any other how long it took is not known
		m.durations.Observe(max(0, time.Since(a.at).Seconds()))
	}
	return nil
}

// State is how a worker stands at one moment.
type State struct {
	CallsInFlight, BackingOff int
	PendingMessages           int
	PendingBytes              int64
	Breaker                   route.BreakerState
	Commits, CommitFailures   uint64
	JournalRecords            uint64
	Finished, Resumed, New    uint64 // requests read again, by what the journal said
	Topic                     string
	Partitions                []Partition
	SMTP                      *Connections // nil where no SMTP provider is called
}

// Connections are those to an SMTP provider.
type Connections struct{ Limit, Open int }

// Partition is one that the worker owns.
type Partition struct {
	Number int32
	Lag    int64     // -1 while it is not known
	Oldest time.Time // of the oldest unfinished request; zero while there is none
}

// Watch exports what state returns each time that somebody asks.
func (m *Metrics) Watch(state func() State) { m.register.MustRegister(&watcher{state: state}) }

type watcher struct{ state func() State }

// Describe implements prometheus.Collector. It describes nothing: which
// partitions there are changes.
func (w *watcher) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (w *watcher) Collect(to chan<- prometheus.Metric) {
	s := w.state()
	to <- gauge("provider_calls_in_flight", "Provider calls under way.", float64(s.CallsInFlight))
	to <- gauge("messages_backing_off", "Messages that wait for their next attempt.", float64(s.BackingOff))
	to <- gauge("pending_messages", "Messages read and not finished.", float64(s.PendingMessages))
	to <- gauge("pending_bytes", "Payload bytes of the messages read and not finished.", float64(s.PendingBytes))
	to <- gauge("breaker_state", "0 closed, 1 half open, 2 open.", float64(s.Breaker))
	if s.SMTP != nil {
		to <- gauge("smtp_connections_limit", "Connections that there may be at once: WORKER_CONCURRENCY, or as many as the server grants.", float64(s.SMTP.Limit))
		to <- gauge("smtp_connections_open", "Connections that are set up, in use or idle.", float64(s.SMTP.Open))
	}
	to <- counter("journal_records_read_total", "Status events read back after assignments.", s.JournalRecords)
	const commits = "Offset commits, by result."
	to <- counter("commits_total", commits, s.Commits, "result", "ok")
	to <- counter("commits_total", commits, s.CommitFailures, "result", "error")
	const recovered = "Requests read again after an assignment, by what the journal said of them."
	to <- counter("recovered_messages_total", recovered, s.Finished, "state", "finished")
	to <- counter("recovered_messages_total", recovered, s.Resumed, "state", "resumed")
	to <- counter("recovered_messages_total", recovered, s.New, "state", "new")
	for _, p := range s.Partitions {
		number, age := strconv.Itoa(int(p.Number)), 0.0
		if !p.Oldest.IsZero() {
			age = max(0, time.Since(p.Oldest).Seconds())
		}
		to <- gauge("oldest_unfinished_seconds", "Age of the request that keeps the partition's offset; 0 while there is none.", age, "partition", number)
		if p.Lag >= 0 {
			to <- gauge("consumer_lag", "Offsets of an owned partition from the committed to the last stable one.", float64(p.Lag), "partition", number, "topic", s.Topic)
		}
	}
}

func gauge(name, help string, v float64, labels ...string) prometheus.Metric {
	return constant(prometheus.GaugeValue, name, help, v, labels)
}

func counter(name, help string, v uint64, labels ...string) prometheus.Metric {
	return constant(prometheus.CounterValue, name, help, float64(v), labels)
}

// constant makes a metric of one moment. Labels are names and values in turn.
func constant(kind prometheus.ValueType, name, help string, v float64, labels []string) prometheus.Metric {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.MustNewConstMetric(prometheus.NewDesc(namespace+"_"+name, help, names, nil), kind, v, values...)
}
