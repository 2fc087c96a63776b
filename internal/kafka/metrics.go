package kafka

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// Metrics returns a hook that counts, under messaging_kafka_, what a client of
// that name does. Each client takes one of its own.
func Metrics(register prometheus.Registerer, client string) kgo.Hook {
	return kprom.NewMetrics(
		"messaging_kafka",
		kprom.Registerer(prometheus.WrapRegistererWith(prometheus.Labels{"client": client}, register)),
		kprom.FetchAndProduceDetail(kprom.ByTopic, kprom.Records, kprom.UncompressedBytes),
	)
}
