package publisher

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// headers returns the worker's own headers with room for extra more.
func (p *Publisher) headers(src *models.Record, tenant string, extra int) []kgo.RecordHeader {
	traceParent, tenant := src.TraceParent(), models.CutRunes(tenant, models.MaxTextRunes)
	n := 6
	for _, optional := range []string{traceParent, tenant} {
		if optional != "" {
			n++
		}
	}
	// One buffer holds all values: there are six of them in each event.
	v := values{make([]byte, 0, len(src.Topic)+len(traceParent)+len(tenant)+3*20)}
	out := append(
		make([]kgo.RecordHeader, 0, n+extra),
		kgo.RecordHeader{Key: models.HeaderContentType, Value: contentType},
		kgo.RecordHeader{Key: models.HeaderWorker, Value: p.worker},
		kgo.RecordHeader{Key: models.HeaderSourceTopic, Value: v.text(src.Topic)},
		kgo.RecordHeader{Key: models.HeaderSourcePartition, Value: v.decimal(int64(src.Partition))},
		kgo.RecordHeader{Key: models.HeaderSourceOffset, Value: v.decimal(src.Offset)},
		kgo.RecordHeader{Key: models.HeaderSourceTimestamp, Value: v.decimal(src.Timestamp.UnixMilli())},
	)
	if traceParent != "" {
		out = append(out, kgo.RecordHeader{Key: models.HeaderTraceParent, Value: v.text(traceParent)})
	}
	if tenant != "" {
		out = append(out, kgo.RecordHeader{Key: models.HeaderTenantID, Value: v.text(tenant)})
	}
	return out
}

//nolint:gochecknoglobals // a constant, if bytes could be one: each record has it
var contentType = []byte("application/json")

// values cuts header values from one buffer, whose capacity must hold them.
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

// withOwnHeaders returns the worker's headers and behind them the request's
// own, unchanged and in their order, without those that the worker's replace.
func (p *Publisher) withOwnHeaders(src *models.Record, tenant string) []kgo.RecordHeader {
	out := p.headers(src, tenant, len(src.Headers))
	ours := out
	for _, h := range src.Headers {
		if !slices.ContainsFunc(ours, func(o kgo.RecordHeader) bool { return o.Key == h.Key }) {
			out = append(out, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return out
}
