package stage

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Upstream is a producer of requests that writes in transactions.
type Upstream struct {
	s      *Stage
	client *kgo.Client
}

// Upstream connects a producer with that transactional id. It ends what an
// earlier one of the same id has left open.
func (s *Stage) Upstream(id string, timeout time.Duration) *Upstream {
	s.t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.Brokers...), kgo.TransactionalID(s.Name+"-"+id), kgo.TransactionTimeout(timeout),
		kgo.UnknownTopicRetries(-1), kgo.RecordPartitioner(explicitOrKey{kgo.StickyKeyPartitioner(nil)}),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return &Upstream{s, client}
}

// Begin opens a transaction with these requests in it, acknowledged.
func (u *Upstream) Begin(records ...*kgo.Record) {
	u.s.t.Helper()
	u.BeginOn(u.s.Topic("request"), records...)
}

// BeginOn opens a transaction with these records of a topic in it.
func (u *Upstream) BeginOn(topic string, records ...*kgo.Record) {
	u.s.t.Helper()
	if err := u.client.BeginTransaction(); err != nil {
		u.s.t.Fatal(err)
	}
	for _, r := range records {
		r.Topic = topic
	}
	if err := u.client.ProduceSync(u.s.Ctx, records...).FirstErr(); err != nil {
		u.s.t.Fatal(err)
	}
}

// End commits the open transaction, or rolls it back.
func (u *Upstream) End(how kgo.TransactionEndTry) {
	u.s.t.Helper()
	if err := u.client.EndTransaction(u.s.Ctx, how); err != nil {
		u.s.t.Fatal(err)
	}
}

// Kill ends the producer as a crash does: what is open stays open.
func (u *Upstream) Kill() { u.client.Close() }

// Requests makes that many plain requests, keyed or, from 0 on, for one
// partition.
func (s *Stage) Requests(n int, partition int32) []*kgo.Record {
	var records []*kgo.Record
	for range n {
		id := NewID()
		r := &kgo.Record{Key: []byte(id), Value: Request(s.Channel, id, nil), Partition: partition}
		if partition >= 0 {
			r.Key = nil
		}
		records = append(records, r)
	}
	return records
}
