package producer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
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

// Refused returns, for each topic, why Kafka refuses records that are tried
// again and again, or that it has not acknowledged one for ten seconds. It
// returns nil while acknowledgements come, within that time. The text stays the
// same while the reason does.
func (p *Producer) Refused() error {
	faults := map[string]error{}
	for _, topic := range p.partitions.stalled(p.late) {
		faults[topic] = fmt.Errorf("topic %s does not acknowledge records within %v", topic, p.late)
		if why := p.why.why(topic); why != "" {
			faults[topic] = fmt.Errorf("%w: %s", faults[topic], why)
		}
	}
	for topic, err := range p.refusals.Present() {
		faults[topic] = fmt.Errorf("topic %s refuses records: %w", topic, err)
	}
	var list []error
	for _, topic := range slices.Sorted(maps.Keys(faults)) {
		list = append(list, faults[topic])
	}
	return errors.Join(list...)
}

// setRefusal keeps why a topic refuses the records of its retry queue, or with
// nil that it took one, and logs what has changed.
func (p *Producer) setRefusal(topic string, err error) {
	switch changed := p.refusals.Changed(topic, err); {
	case !changed:
	case err == nil:
		p.options.Log.Info().Str("topic", topic).Msg("Kafka takes the records that it refused")
	default:
		p.options.Log.Error().Err(err).Str("topic", topic).
			Msg("Kafka refuses a record; it is tried again, and progress waits, until it is accepted")
	}
}

// watch learns the reasons of refusals while records wait, from half the time on
// after which Refused reports them.
func (p *Producer) watch() {
	for lifetime.Sleep(p.life.Calls(), time.Second) == nil {
		p.why.listen(p.partitions.stalled(p.late / 2))
	}
}

// refusalReasons learns why Kafka refuses batches that the client retries. The
// client reports that in its log alone, at debug: so this logger reads those
// lines while records wait for long, and passes on what the log's level asks for.
type refusalReasons struct {
	kgo.Logger

	listening atomic.Bool

	mu sync.Mutex
	of map[string]string // by topic: the latest refusal
}

// Level implements kgo.Logger.
func (r *refusalReasons) Level() kgo.LogLevel {
	if r.listening.Load() {
		return kgo.LogLevelDebug
	}
	return r.Logger.Level()
}

// Log implements kgo.Logger.
func (r *refusalReasons) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if msg == "produced" && r.listening.Load() {
		for i := 0; i+1 < len(keyvals); i += 2 {
			if text, ok := keyvals[i+1].(string); ok && keyvals[i] == "to" {
				r.learn(text)
			}
		}
	}
	if level <= r.Logger.Level() {
		r.Logger.Log(level, msg, keyvals...)
	}
}

// What the client says of an answered request:
//
//	TOPIC[PARTITION{retrying@-1,RECORDS(ERROR)}, …], …
var (
	answeredTopic = regexp.MustCompile(`([\w.-]+)\[([^\]]*)\]`)
	triedAgain    = regexp.MustCompile(`retrying@-?\d+,\d+\((.*?)\)\}`)
)

// learn reads what the client says of an answered request.
func (r *refusalReasons) learn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, topic := range answeredTopic.FindAllStringSubmatch(text, -1) {
		if why := triedAgain.FindStringSubmatch(topic[2]); why != nil {
			r.of[topic[1]] = why[1]
		}
	}
}

// listen reads the client's lines while there are topics, and forgets the others.
func (r *refusalReasons) listen(topics []string) {
	r.listening.Store(len(topics) > 0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range r.of {
		if !slices.Contains(topics, topic) {
			delete(r.of, topic)
		}
	}
}

// why returns the latest refusal of a topic's records, or "".
func (r *refusalReasons) why(topic string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.of[topic]
}
