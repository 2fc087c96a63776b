package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"messaging-worker/internal/worker/route"
)

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
	to <- counter("commits_total", commits, s.Commits, "result", resultOK)
	to <- counter("commits_total", commits, s.CommitFailures, "result", resultError)
	const recovered = "Requests read again after an assignment, by their state in the journal."
	to <- counter("recovered_messages_total", recovered, s.Finished, "state", "finished")
	to <- counter("recovered_messages_total", recovered, s.Resumed, "state", "resumed")
	to <- counter("recovered_messages_total", recovered, s.New, "state", "new")
	for _, p := range s.Partitions {
		number, age := strconv.Itoa(int(p.Number)), 0.0
		if !p.Oldest.IsZero() {
			age = max(0, time.Since(p.Oldest).Seconds())
		}
		to <- gauge("oldest_unfinished_seconds", "Age of the oldest unfinished request, behind which the partition's offset cannot be committed; 0 while there is none.", age, "partition", number)
		if p.Lag >= 0 {
			to <- gauge("consumer_lag", "Offsets between the committed one and the last stable one of an owned partition.", float64(p.Lag), "partition", number, "topic", s.Topic)
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
