package producer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch that Kafka refuses for good (too large, no permission, a policy)
// fails every record in it, the innocent neighbours included, and every record
// of its partition that the client holds behind it. Each refused record goes
// to its topic's retry queue, where it is sent again: alone, in order, until it is
// accepted. A retry queue is one goroutine, so a batch there never holds more than
// one record.

// entry is a record on its way.
type entry struct {
	record *kgo.Record
	ack    *Ack
	guard  *orderGuard // of its partition; nil where there is no order to keep
	wait   *unackedList
	aside  bool // counted in Producer.aside
}

// retryQueue is the queue of one topic's refused records. It is unbounded because
// the pending bounds of the consumer already limit what can be in it, and
// because the client's acknowledgements must never block on it.
type retryQueue struct {
	mu    sync.Mutex
	queue []entry
	wake  chan struct{} // holds one token: more than that tells nothing new
}

func (l *retryQueue) push(e entry) {
	l.mu.Lock()
	l.queue = append(l.queue, e)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (l *retryQueue) take() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queue
	l.queue = nil
	return queue
}

// enqueue puts e into its topic's retry queue. False means that p is closed.
func (p *Producer) enqueue(e entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	l, ok := p.retryQueues[e.record.Topic]
	if !ok {
		l = &retryQueue{wake: make(chan struct{}, 1)}
		p.retryQueues[e.record.Topic] = l
		p.wg.Go(func() { p.work(l) })
	}
	l.push(e)
	return true
}

// work sends the retry queue's records until p closes; then it answers the rest.
func (p *Producer) work(l *retryQueue) {
	for {
		for _, e := range l.take() {
			err := p.sendAlone(e.record)
			e.guard.retried(e.record)
			p.complete(e, err)
		}
		select {
		case <-l.wake:
		case <-p.done:
			for _, e := range l.take() {
				p.complete(e, ErrClosed)
			}
			return
		}
	}
}

// sendAlone tries until r is acknowledged, too large for good, or p closes.
func (p *Producer) sendAlone(r *kgo.Record) error {
	for try := 0; ; try++ {
		copied := &kgo.Record{
			Topic: r.Topic, Partition: r.Partition,
			Key: r.Key, Value: r.Value, Headers: r.Headers,
		}
		select {
		case <-p.done:
			return ErrClosed
		default:
		}
		err := p.solo.ProduceSync(context.Background(), copied).FirstErr()
		switch {
		case err == nil:
			p.setRefusal(r.Topic, nil)
			p.onAck(copied)
			return nil
		case errors.Is(err, kgo.ErrClientClosed):
			return ErrClosed
		case tooLarge(err) && p.giveUp[r.Topic]:
			p.setRefusal(r.Topic, nil) // whatever it was before is over
			return ErrTooLarge
		}
		p.setRefusal(r.Topic, err)
		select {
		case <-time.After(min(100*time.Millisecond<<min(try, 4), time.Second)): // what is mended is noticed soon
		case <-p.done:
			return ErrClosed
		}
	}
}
