package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"messaging-worker/internal/kafka/consumer"
	"messaging-worker/internal/telemetry"
)

// stateCollector exports how the worker stands each time that somebody asks.
type stateCollector struct{ *App }

// Describe implements prometheus.Collector. It describes nothing: which
// partitions there are changes.
func (stateCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c stateCollector) Collect(to chan<- prometheus.Metric) {
	p := c.pipeline
	k, each := p.stats()
	for _, provider := range p.accounts {
		provider.collect(to)
	}
	to <- counter("journal_records_read_total", "Status events read back after assignments.", k.JournalRecords)
	const commits = "Offset commits, by result."
	to <- counter("commits_total", commits, k.Commits, "result", "ok")
	to <- counter("commits_total", commits, k.CommitFailures, "result", "error")
	const recovered = "Requests read again after an assignment, by their state in the journal."
	to <- counter("recovered_messages_total", recovered, k.Finished, "state", "finished")
	to <- counter("recovered_messages_total", recovered, k.Resumed, "state", "resumed")
	to <- counter("recovered_messages_total", recovered, k.New, "state", "new")
	p.control.collect(to)
	for i, s := range p.sources {
		s.collect(to, &each[i])
	}
}

// collect exports how the account stands.
func (p *account) collect(to chan<- prometheus.Metric) {
	breaker, _, _ := p.route.Breaker()
	to <- gauge("provider_calls_in_flight", "Provider calls under way.", float64(p.route.InFlight()))
	to <- gauge("breaker_state", "0 closed, 1 half open, 2 open.", float64(breaker))
	if p.smtp != nil {
		limit, open := p.smtp.Connections()
		to <- gauge("smtp_connections_limit", "Connections that there may be at once: WORKER_CONCURRENCY, or as many as the server grants.", float64(limit))
		to <- gauge("smtp_connections_open", "Connections that are set up, in use or idle.", float64(open))
	}
}

// collect exports how the source stands.
func (s *source) collect(to chan<- prometheus.Metric, stats *consumer.Stats) {
	lane := []string{telemetry.LabelLane, string(s.lane)}
	to <- gauge("messages_backing_off", "Messages that wait for their next attempt.", float64(s.engine.BackingOff()), lane...)
	to <- gauge("pending_messages", "Messages read and not finished.", float64(stats.PendingMessages), lane...)
	to <- gauge("pending_bytes", "Payload bytes of the messages read and not finished.", float64(stats.PendingBytes), lane...)
	for _, part := range stats.Partitions {
		number, age := strconv.Itoa(int(part.Number)), 0.0
		if !part.Oldest.IsZero() {
			age = max(0, time.Since(part.Oldest).Seconds())
		}
		to <- gauge("oldest_unfinished_seconds", "Age of the oldest unfinished request, behind which the partition's offset cannot be committed; 0 while there is none.", age, append(lane, "partition", number)...)
		if part.Lag >= 0 {
			to <- gauge("consumer_lag", "Offsets between the committed one and the last stable one of an owned partition.", float64(part.Lag), "partition", number, "topic", s.config.Kafka.RequestTopic)
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
	return prometheus.MustNewConstMetric(prometheus.NewDesc(telemetry.Namespace+"_"+name, help, names, nil), kind, v, values...)
}
