package kafka

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// clientMetrics is the namespace of what a client of Kafka does.
const clientMetrics = "messaging_kafka"

// Metrics returns hooks that count, under messaging_kafka_, what a client of that
// name does. Each client takes hooks of its own.
func Metrics(register prometheus.Registerer, client string) []kgo.Hook {
	register = prometheus.WrapRegistererWith(prometheus.Labels{"client": client}, register)
	return []kgo.Hook{&metrics{
		Metrics: kprom.NewMetrics(
			clientMetrics,
			kprom.Registerer(withoutGauges{register}),
			kprom.FetchAndProduceDetail(kprom.ByTopic, kprom.Records, kprom.UncompressedBytes),
		),
		register: register,
	}}
}

// metrics are those of kprom with its gauges under names of our own: two of
// kprom's end in _total, which is for counters alone
// (https://prometheus.io/docs/practices/naming/).
type metrics struct {
	*kprom.Metrics

	register prometheus.Registerer
	gauges   []prometheus.Collector
}

// OnNewClient implements kgo.HookNewClient.
func (m *metrics) OnNewClient(client *kgo.Client) {
	m.Metrics.OnNewClient(client)
	m.gauges = []prometheus.Collector{
		buffered("produce_records", "Records that wait to be written.", client.BufferedProduceRecords),
		buffered("produce_bytes", "Bytes of the records that wait to be written.", client.BufferedProduceBytes),
		buffered("fetch_records", "Records read that nobody has polled.", client.BufferedFetchRecords),
		buffered("fetch_bytes", "Bytes of the records read that nobody has polled.", client.BufferedFetchBytes),
	}
	m.register.MustRegister(m.gauges...)
}

// OnClientClosed implements kgo.HookClientClosed.
func (m *metrics) OnClientClosed(client *kgo.Client) {
	m.Metrics.OnClientClosed(client)
	for _, gauge := range m.gauges {
		m.register.Unregister(gauge)
	}
}

func buffered(name, help string, now func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: clientMetrics, Name: "buffered_" + name, Help: help},
		func() float64 { return float64(now()) },
	)
}

// withoutGauges leaves out the gauges that are functions: kprom's are.
type withoutGauges struct{ prometheus.Registerer }

// MustRegister implements prometheus.Registerer.
func (w withoutGauges) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if _, ok := c.(prometheus.GaugeFunc); !ok {
			w.Registerer.MustRegister(c)
		}
	}
}
