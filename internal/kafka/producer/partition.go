package producer

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partition is what is under way to one partition, as the caller names it: the
// client changes the number in the record.
type partition struct {
	producer *Producer
	topic    string
	ordered  bool // the topic is one of Options.ByPartition

	mu      sync.Mutex
	unacked unackedList
	guard   orderGuard
}

// produce hands a to the client, or to where the guard says.
func (t *partition) produce(a *Ack) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unacked.add(a)
	t.notice()
	t.pass(a)
}

// onAnswer is the client's callback for a.
func (a *Ack) onAnswer(r *kgo.Record, err error) {
	t := a.partition
	closed := errors.Is(err, kgo.ErrClientClosed)
	if err == nil {
		t.producer.options.OnAck(r)
	} else if !closed && t.ordered {
		t.producer.refusalCount.Add(1) // before the lock, for which it may have to wait
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.complete(a, nil)
	case closed:
		t.complete(a, ErrClosed)
	default:
		t.retry(a)
	}
	t.countAnswer()
}

// retry puts a into the retry queue of its topic. The lock must be held, so
// that the queue's order is that of the partition.
func (t *partition) retry(a *Ack) {
	if !t.producer.enqueue(a) {
		t.complete(a, ErrClosed)
		return
	}
	t.guard.retrying[string(a.record.Key)]++
}

// retried completes a, which was in the retry queue.
func (t *partition) retried(a *Ack, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := string(a.record.Key)
	if t.guard.retrying[key]--; t.guard.retrying[key] == 0 {
		delete(t.guard.retrying, key)
	}
	t.complete(a, err)
}

// complete ends the waits for a. The lock must be held.
func (t *partition) complete(a *Ack, err error) {
	t.unacked.remove(a, t.producer.late)
	a.record.Key, a.record.Value, a.record.Headers = nil, nil, nil // the client is done with them
	a.answer(err)
}

// oldest returns a record that is not acknowledged, or nil.
func (t *partition) oldest() *Ack {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unacked.first
}

func (t *partition) stalled(late time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unacked.stalled(late)
}

// partitions holds all partitions that records were produced to.
type partitions struct {
	mu  sync.RWMutex
	all map[topicPartition]*partition
}

type topicPartition struct {
	topic  string
	number int32
}

// of returns the partition of that name, as p's caller names it.
func (all *partitions) of(p *Producer, topic string, number int32) *partition {
	key := topicPartition{topic, number}
	all.mu.RLock()
	found := all.all[key]
	all.mu.RUnlock()
	if found != nil {
		return found
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if found = all.all[key]; found == nil {
		found = &partition{producer: p, topic: topic, ordered: slices.Contains(p.options.ByPartition, topic)}
		found.guard.retrying = map[string]int{}
		if p.life.Calls().Err() != nil {
			found.guard.state = closed
		}
		all.all[key] = found
	}
	return found
}

// close completes with ErrClosed what is held back, and what is produced from
// now on. The producer's life has ended.
func (all *partitions) close() {
	all.mu.Lock()
	defer all.mu.Unlock()
	for _, t := range all.all {
		t.close()
	}
}

// oldest returns a record that is not acknowledged, or nil.
func (all *partitions) oldest() *Ack {
	all.mu.RLock()
	defer all.mu.RUnlock()
	for _, t := range all.all {
		if a := t.oldest(); a != nil {
			return a
		}
	}
	return nil
}

// stalled returns the topics with a partition whose records wait for as long as
// late, in order.
func (all *partitions) stalled(late time.Duration) []string {
	all.mu.RLock()
	defer all.mu.RUnlock()
	var topics []string
	for _, t := range all.all {
		if t.stalled(late) {
			topics = append(topics, t.topic)
		}
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
