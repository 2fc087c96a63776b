package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A batch that Kafka refuses for good (too large, no permission, a policy)
// fails every record in it, the innocent neighbours included. Each refused
// record goes to its topic's lane, where it is sent again: alone, in order,
// until it is accepted. A lane is one goroutine, so a batch there never holds
// more than one record.
type repair struct {
	record *kgo.Record
	ack    *Ack
	err    error // why it was refused
}

// lane is the queue of one topic's refused records. It is unbounded because
// the pending bounds of the consumer already limit what can be in it, and
// because the client's acknowledgements must never block on it.
type lane struct {
	mu    sync.Mutex
	queue []repair
	wake  chan struct{} // holds one token: more than that tells nothing new
}

func (l *lane) push(r repair) {
	l.mu.Lock()
	l.queue = append(l.queue, r)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (l *lane) take() []repair {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queue
	l.queue = nil
	return queue
}

func (p *Producer) repair(r repair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		r.ack.settle(ErrClosed)
		return
	}
	l, ok := p.lanes[r.record.Topic]
	if !ok {
		l = &lane{wake: make(chan struct{}, 1)}
		p.lanes[r.record.Topic] = l
		p.wg.Go(func() { p.work(l) })
	}
	l.push(r)
}

// work sends the lane's records until p closes; then it answers the rest.
func (p *Producer) work(l *lane) {
	for {
		for _, r := range l.take() {
			r.ack.settle(p.sendAlone(r))
		}
		select {
		case <-l.wake:
		case <-p.done:
			for _, r := range l.take() {
				r.ack.settle(ErrClosed)
			}
			return
		}
	}
}

// sendAlone tries until r is acknowledged, too large for good, or p closes.
func (p *Producer) sendAlone(r repair) error {
	for try := 0; ; try++ {
		copied := &kgo.Record{
			Topic: r.record.Topic, Partition: r.record.Partition,
			Key: r.record.Key, Value: r.record.Value, Headers: r.record.Headers,
		}
		select {
		case <-p.done:
			return ErrClosed
		default:
		}
		err := p.solo.ProduceSync(context.Background(), copied).FirstErr()
		switch {
		case err == nil:
			p.setRefused(nil)
			p.onAck(copied)
			return nil
		case errors.Is(err, kgo.ErrClientClosed):
			return ErrClosed
		case tooLarge(err) && p.giveUp[r.record.Topic]:
			return ErrTooLarge
		}
		p.setRefused(fmt.Errorf("topic %s refuses records: %w", r.record.Topic, err))
		p.log.Error().Err(err).Str("topic", r.record.Topic).Int("try", try+1).
			Msg("Kafka refuses a record; progress waits until it is accepted")
		select {
		case <-time.After(min(time.Second<<min(try, 4), 10*time.Second)):
		case <-p.done:
			return ErrClosed
		}
	}
}
