package publisher

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// record returns a record about the request src. Its key is the message's id,
// its headers are the worker's own.
func (p *Publisher) record(topic string, src *models.Record, id, tenant string, value []byte) kgo.Record {
	traceParent, tenant := src.TraceParent(), models.CutRunes(tenant, models.MaxTextRunes)
	// One buffer holds the key and all headers' values: there are three such
	// records for each message.
	v := values{make([]byte, 0, len(id)+len(src.Topic)+len(traceParent)+len(tenant)+3*20)}
	key := v.text(id)
	headers := append(
		make([]kgo.RecordHeader, 0, 8),
		kgo.RecordHeader{Key: models.HeaderContentType, Value: contentType},
		kgo.RecordHeader{Key: models.HeaderWorker, Value: p.worker},
		kgo.RecordHeader{Key: models.HeaderSourceTopic, Value: v.text(src.Topic)},
		kgo.RecordHeader{Key: models.HeaderSourcePartition, Value: v.decimal(int64(src.Partition))},
		kgo.RecordHeader{Key: models.HeaderSourceOffset, Value: v.decimal(src.Offset)},
		kgo.RecordHeader{Key: models.HeaderSourceTimestamp, Value: v.decimal(src.Timestamp.UnixMilli())},
	)
	if traceParent != "" {
		headers = append(headers, kgo.RecordHeader{Key: models.HeaderTraceParent, Value: v.text(traceParent)})
	}
	if tenant != "" {
		headers = append(headers, kgo.RecordHeader{Key: models.HeaderTenantID, Value: v.text(tenant)})
	}
	return kgo.Record{Topic: topic, Key: key, Value: value, Headers: headers}
}

//nolint:gochecknoglobals // a constant, if bytes could be one: each record has it
var contentType = []byte("application/json")

// values cuts values from one buffer, whose capacity must hold them.
type values struct{ buffer []byte }

func (v *values) text(s string) []byte {
	begin := len(v.buffer)
	v.buffer = append(v.buffer, s...)
	return v.buffer[begin:len(v.buffer):len(v.buffer)]
}

func (v *values) decimal(n int64) []byte {
	begin := len(v.buffer)
	v.buffer = strconv.AppendInt(v.buffer, n, 10)
	return v.buffer[begin:len(v.buffer):len(v.buffer)]
}

// withRequestHeaders adds the request's own headers behind those of r, unchanged
// and in their order, without those that the worker's replace.
func withRequestHeaders(r kgo.Record, src *models.Record) kgo.Record {
	ours := r.Headers
	for _, h := range src.Headers {
		if !slices.ContainsFunc(ours, func(o kgo.RecordHeader) bool { return o.Key == h.Key }) {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return r
}
