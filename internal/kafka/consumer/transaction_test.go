package consumer

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transaction is one that a producer has open.
type transaction struct {
	s      *scene
	client *kgo.Client
	wrote  []place
}

// begin opens a transaction of a producer of that name.
func (s *scene) begin(name string) *transaction {
	s.t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	if err := client.BeginTransaction(); err != nil {
		s.t.Fatal(err)
	}
	return &transaction{s: s, client: client}
}

// put writes a request inside of the transaction and returns its offset.
func (t *transaction) put(partition int32, value string) int64 {
	t.s.t.Helper()
	r := &kgo.Record{Topic: "request", Partition: partition, Value: []byte(value)}
	if err := t.client.ProduceSync(t.s.t.Context(), r).FirstErr(); err != nil {
		t.s.t.Fatal(err)
	}
	return r.Offset
}

func (t *transaction) end(how kgo.TransactionEndTry) {
	t.s.t.Helper()
	if err := t.client.EndTransaction(t.s.t.Context(), how); err != nil {
		t.s.t.Fatal(err)
	}
}

// end returns where a partition of the requests ends, open transactions
// included.
func (s *scene) end(partition int32) int64 {
	s.t.Helper()
	ends, err := kadm.NewClient(s.producer).ListEndOffsets(s.t.Context(), "request")
	if err != nil {
		s.t.Fatal(err)
	}
	end, _ := ends.Lookup("request", partition)
	return end.Offset
}

// caughtUp waits until the member knows that all is done and committed. It
// learns of a commit a moment after Kafka has it.
func (s *scene) caughtUp(m *member, committed int64) {
	s.t.Helper()
	s.await(func() bool {
		p := m.c.Stats().Partitions[0]
		return p.Lag == 0 && p.Committed == committed && p.Unfinished == 0
	})
}

// What was rolled back is never handled and holds no offset; what is in an
// open transaction waits, and what stands behind it too.
func TestOnlyCommittedRequestsAreHandled(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 1)
	m := s.join()
	rolledBack := s.begin("rolled back")
	rolledBack.put(0, "send")
	rolledBack.put(0, "send")
	rolledBack.end(kgo.TryAbort)
	s.committed(0, s.end(0)) // though there was nothing to do

	open := s.begin("open")
	later := place{0, open.put(0, "send")}
	behind := place{0, s.put(0, "send")}
	stable := later.offset
	m.c.measure(t.Context())
	s.caughtUp(m, stable) // while a transaction is open
	if messages, bytes := m.c.runner.pending.count(); messages+int(bytes) > 0 {
		t.Errorf("%d messages of %d bytes are pending, want none", messages, bytes)
	}
	select {
	case got := <-m.begun:
		t.Errorf("%v was begun while its transaction, or one before it, is open", got)
	default:
	}
	open.end(kgo.TryCommit)
	done := map[place]bool{}
	for range 2 { // in any order
		done[wait(t, m.done, "a committed request")] = true
	}
	if !done[later] || !done[behind] {
		t.Errorf("done are %v, want %v and %v", done, later, behind)
	}
	s.committed(0, s.end(0))
	m.c.measure(t.Context())
	s.caughtUp(m, s.end(0))
	m.leave()
}

// A commit passes what no record has, and never a record that is not finished:
// producers commit, roll back and leave open at random, and records end in any
// order.
func TestCommitPassesNoVisibleRecord(t *testing.T) {
	t.Parallel()
	const partitions = 3
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newScene(t, 1, partitions)
	m := s.join()
	v := &visible{done: m.done, unfinished: map[place]bool{}}
	s.cluster.ControlKey(kmsg.OffsetCommit.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		v.check(t, req.(*kmsg.OffsetCommitRequest))
		return nil, nil, false
	})
	var open []*transaction
	for n := range 12 {
		open = append(open, s.begin(fmt.Sprint("producer ", n)))
		v.write(r, open, partitions)
		if len(open) == 4 || r.IntN(2) == 0 {
			i := r.IntN(len(open))
			v.end(r, open[i])
			open = slices.Delete(open, i, i+1)
		}
		m.c.measure(t.Context())
		for range r.IntN(4) { // whoever has begun
			select {
			case m.release <- struct{}{}:
			default:
			}
		}
	}
	for _, tx := range open {
		v.end(r, tx)
	}
	close(m.release)
	for p := range int32(partitions) {
		s.committed(p, s.end(p))
	}
	m.leave()
	if left := v.left(); len(left) > 0 {
		t.Errorf("all is committed, and these were not handled: %v", left)
	}
}

// visible is what a reader of committed records may see, now or later, and
// what of it is not finished.
type visible struct {
	done chan place

	mu         sync.Mutex
	unfinished map[place]bool
}

// write produces inside and outside of transactions.
func (v *visible) write(r *rand.Rand, open []*transaction, partitions int) {
	for range r.IntN(6) {
		tx, p := open[r.IntN(len(open))], int32(r.IntN(partitions))
		if r.IntN(3) == 0 {
			v.add(place{p, tx.s.put(p, "call")})
		} else {
			tx.wrote = append(tx.wrote, place{p, tx.put(p, "call")})
		}
	}
}

func (v *visible) end(r *rand.Rand, tx *transaction) {
	how := kgo.TransactionEndTry(r.IntN(3) > 0)
	if how == kgo.TryCommit {
		v.add(tx.wrote...)
	}
	tx.end(how)
	tx.client.Close()
}

func (v *visible) add(list ...place) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, at := range list {
		v.unfinished[at] = true
	}
}

// left takes out what is finished, which is told before it can be committed,
// and returns the others.
func (v *visible) left() []place {
	v.mu.Lock()
	defer v.mu.Unlock()
	for {
		select {
		case at := <-v.done:
			delete(v.unfinished, at)
			continue
		default:
		}
		return slices.Collect(maps.Keys(v.unfinished))
	}
}

func (v *visible) check(t *testing.T, req *kmsg.OffsetCommitRequest) {
	t.Helper()
	left := v.left()
	for _, p := range req.Topics[0].Partitions {
		for _, at := range left {
			if at.partition == p.Partition && at.offset < p.Offset {
				t.Errorf("partition %d is committed to %d, and %d is not finished", p.Partition, p.Offset, at.offset)
			}
		}
	}
}

// Batches that compaction has emptied stay at the end of a log, or before an
// open transaction: the commit passes them once nothing else is to be done.
func TestCommitPassesEmptiedBatches(t *testing.T) {
	t.Parallel()
	for name, begun := range map[string]int{"behind records": 3, "nothing else there": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 1, 1)
			for range begun {
				s.put(0, "send")
			}
			m := s.join()
			for range begun {
				wait(t, m.done, "a record to be done")
			}
			start := int64(begun)
			s.committed(0, start)
			s.empty(start, start+5, start+9)
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			m.c.measure(ctx)
			s.committed(0, start+9)
			s.caughtUp(m, start+9)
			m.leave()
		})
	}
}

// empty has the broker answer as if emptied batches lay between these offsets.
func (s *scene) empty(bounds ...int64) {
	s.cluster.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		req := r.(*kmsg.FetchRequest)
		if len(req.Topics) == 0 || req.Topics[0].Partitions[0].FetchOffset < bounds[0] {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
		p := kmsg.NewFetchResponseTopicPartition()
		p.HighWatermark, p.LastStableOffset = bounds[len(bounds)-1], bounds[len(bounds)-1]
		// One batch an answer.
		i := slices.IndexFunc(bounds, func(at int64) bool { return at > req.Topics[0].Partitions[0].FetchOffset })
		if i > 0 {
			p.RecordBatches = emptied(bounds[i-1], bounds[i])
		}
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	s.cluster.ControlKey(kmsg.ListOffsets.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		resp := r.(*kmsg.ListOffsetsRequest).ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic = "request"
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.Offset = bounds[len(bounds)-1]
		topic.Partitions = append(topic.Partitions, p)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
}

// emptied makes a batch as the log cleaner leaves it: it keeps its offsets.
func emptied(from, to int64) []byte {
	b := (&kmsg.RecordBatch{
		FirstOffset: from, Length: 49, Magic: 2, LastOffsetDelta: int32(to - from - 1), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
	}).AppendTo(nil)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// At most once too, a partition that was never committed and holds nothing any
// more does not lag.
func TestAtMostOnceCommitsItsStart(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 1)
	for range 5 {
		s.put(0, "send")
	}
	var gone kadm.Offsets
	gone.AddOffset("request", 0, 5, -1)
	if _, err := kadm.NewClient(s.producer).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	m := s.join(func(o *Options) { o.AtMostOnce = true })
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	for m.c.Stats().Partitions == nil || m.c.Stats().Partitions[0].Committed < 0 {
		m.c.measure(ctx)
		if ctx.Err() != nil {
			t.Fatal("nothing was committed")
		}
	}
	s.committed(0, 5)
	m.leave()
}
