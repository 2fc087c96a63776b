package journal

import (
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
)

// BenchmarkRead tells how many records of a journal are read a second, what
// Kafka's client does apart: each of three belongs to one delivered message.
func BenchmarkRead(b *testing.B) {
	var records []*kgo.Record
	for i := range int64(1000) {
		for _, ev := range []models.StatusEvent{
			{EventType: models.EventQueued},
			{EventType: models.EventAttempt, Attempt: 1},
			{EventType: models.EventSent, Attempt: 1, ProviderResponse: &models.ProviderResponse{
				Status: models.StatusOK, Code: 250, Message: "smtp 250 2.0.0 Ok: queued as 4XyzAbc", Meta: map[string]string{"queue_id": "4XyzAbc"},
			}},
		} {
			ev.MessageID, ev.Channel, ev.TraceID = "3f2c8f0e-8a3b-4d53-9d0b-0a5f1d2c3b4a", models.Email, "4bf92f3577b34da6a3ce929d0e0e4736"
			ev.Timestamp = time.Now().UTC()
			value, err := ev.Encode()
			if err != nil {
				b.Fatal(err)
			}
			records = append(records, &kgo.Record{Value: value, Headers: []kgo.RecordHeader{
				{Key: models.HeaderContentType, Value: []byte("application/json")},
				{Key: models.HeaderWorker, Value: []byte("email-worker@host-1")},
				{Key: models.HeaderSourceTopic, Value: []byte("messages.email.request")},
				{Key: models.HeaderSourcePartition, Value: []byte("3")},
				{Key: models.HeaderSourceOffset, Value: strconv.AppendInt(nil, i, 10)},
				{Key: models.HeaderSourceTimestamp, Value: []byte("1760607000123")},
				{Key: models.HeaderTenantID, Value: []byte("acme")},
			}})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		p := &plan{Reader: &Reader{Requests: "messages.email.request"}, found: map[int32]Found{3: {Fold: NewFold()}}}
		for _, rec := range records {
			p.fold(rec)
		}
		if n := p.found[3].Fold.finished.n; n != 1000 {
			b.Fatalf("%d requests are finished, want 1000", n)
		}
	}
	b.ReportMetric(float64(b.N*len(records))/b.Elapsed().Seconds(), "records/s")
}
