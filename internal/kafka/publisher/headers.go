package publisher

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// headers returns the worker's own headers with room for extra more.
func (p *Publisher) headers(src *models.Record, tenant string, extra int) []kgo.RecordHeader {
	out := make([]kgo.RecordHeader, 0, 8+extra)
	out = append(
		out,
		kgo.RecordHeader{Key: models.HeaderContentType, Value: []byte("application/json")},
		kgo.RecordHeader{Key: models.HeaderWorker, Value: p.worker},
		kgo.RecordHeader{Key: models.HeaderSourceTopic, Value: []byte(src.Topic)},
		kgo.RecordHeader{Key: models.HeaderSourcePartition, Value: decimal(int64(src.Partition))},
		kgo.RecordHeader{Key: models.HeaderSourceOffset, Value: decimal(src.Offset)},
		kgo.RecordHeader{Key: models.HeaderSourceTimestamp, Value: decimal(src.Timestamp.UnixMilli())},
	)
	if tp := src.TraceParent(); tp != "" {
		out = append(out, kgo.RecordHeader{Key: models.HeaderTraceParent, Value: []byte(tp)})
	}
	if tenant != "" {
		cut := models.CutRunes(tenant, models.MaxTextRunes)
		out = append(out, kgo.RecordHeader{Key: models.HeaderTenantID, Value: []byte(cut)})
	}
	return out
}

// withOwnHeaders returns the worker's headers and behind them the request's
// own, unchanged and in their order, without those of the worker's names.
func (p *Publisher) withOwnHeaders(src *models.Record, tenant string) []kgo.RecordHeader {
	out := p.headers(src, tenant, len(src.Headers))
	for _, h := range src.Headers {
		if !workersName(h.Key) {
			out = append(out, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return out
}

func workersName(key string) bool {
	switch key {
	case models.HeaderContentType, models.HeaderWorker, models.HeaderTraceParent, models.HeaderTenantID,
		models.HeaderSourceTopic, models.HeaderSourcePartition, models.HeaderSourceOffset, models.HeaderSourceTimestamp:
		return true
	}
	return false
}

func decimal(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
