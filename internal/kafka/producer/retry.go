package producer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/fifo"
	"messaging-worker/internal/lifetime"
)

// A batch that Kafka refuses for good (too large, no permission, a policy)
// fails every record in it, the innocent neighbours included, and every record
// of its partition that the client holds behind it. Each refused record goes
// to its topic's retry queue and is sent again from there: alone, in order,
// until it is accepted. One goroutine works on a queue while it is not empty,
// so a batch there never holds more than one record.
//
// The queues are unbounded, because the consumer already limits what can be in
// them, and because the client's acknowledgements must never block on them.

// enqueue puts a into its topic's retry queue. False means that p is closed.
func (p *Producer) enqueue(a *Ack) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Calls().Err() != nil {
		return false
	}
	topic := a.partition.topic
	if p.retryQueues[topic] == nil {
		p.retryQueues[topic] = &fifo.Queue[*Ack]{}
		p.wg.Go(func() { p.retryAll(topic) })
	}
	p.retryQueues[topic].Push(a)
	return true
}

// retryAll empties a topic's retry queue. Once p is closed it answers the rest.
func (p *Producer) retryAll(topic string) {
	for {
		a := p.nextRetry(topic)
		if a == nil {
			return
		}
		a.partition.retried(a, p.sendAlone(&a.record))
	}
}

// nextRetry takes the first record out of a topic's retry queue. It removes the
// empty queue, and returns nil.
func (p *Producer) nextRetry(topic string) *Ack {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.retryQueues[topic].Pop()
	if !ok {
		delete(p.retryQueues, topic)
	}
	return a
}

// sendAlone tries until r is acknowledged, too large for good, or p closes.
func (p *Producer) sendAlone(r *kgo.Record) error {
	for try := 0; p.life.Calls().Err() == nil; try++ {
		copied := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
		err := p.solo.ProduceSync(context.Background(), copied).FirstErr()
		switch {
		case err == nil:
			p.setRefusal(r.Topic, nil)
			p.options.OnAck(copied)
			return nil
		case errors.Is(err, kgo.ErrClientClosed):
			return ErrClosed
		case tooLarge(err) && slices.Contains(p.options.GiveUpTooLarge, r.Topic):
			p.setRefusal(r.Topic, nil) // whatever it was before is over
			return ErrTooLarge
		}
		p.setRefusal(r.Topic, err)
		// What is mended is noticed soon.
		_ = lifetime.Sleep(p.life.Calls(), min(100*time.Millisecond<<min(try, 4), time.Second))
	}
	return ErrClosed
}

// tooLarge reports Kafka's refusals of a record or batch for its size.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}
