package producer

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// An orderGuard keeps the records of one partition in order, key by key, when some
// are refused. The invariant: while a record is not written, no later one of
// its partition and key is with the client that fills batches, unless it went
// there before the refusal was known.
//
//   - Open, and nothing in the retry queue: all goes to the client.
//   - Shut, from the first refusal until the client has answered for all that
//     it was given: only then is it known who was refused. What is produced
//     meanwhile is held back. One request has batches of many partitions and
//     mostly all are refused, so the first refusal shuts the whole topic; a
//     guard opens when its own partition has its answers.
//   - Open again: a record whose key has records in the retry queue follows them
//     there; all others go to the client. So a record that is refused for
//     long holds up its own message and no other.
//
// "Known" is when the client's first callback runs, mostly microseconds after
// it has failed the batch. A record produced between the two goes to the
// client, and may be written before one of its key that was refused: the one
// gap.
type orderGuard struct {
	mu        sync.Mutex
	handed    int            // records with the client, not answered
	retrying  map[string]int // records there, by key
	shut      bool
	again     bool // a refusal since the last release began
	releasing bool
	held      []entry // while shut
}

// topicPartition is a partition as the caller names it.
type topicPartition struct {
	topic     string
	partition int32
}

// orderGuards finds the orderGuard of a record.
type orderGuards struct {
	topics []string // those with an order to keep

	mu     sync.RWMutex
	of     map[topicPartition]*orderGuard
	closed bool // none shuts any more
}

// at returns nil for a topic without an order to keep. It must be asked before
// the client has r, which changes the partition.
func (g *orderGuards) at(r *kgo.Record) *orderGuard {
	if !slices.Contains(g.topics, r.Topic) {
		return nil
	}
	key := topicPartition{r.Topic, r.Partition}
	g.mu.RLock()
	found := g.of[key]
	g.mu.RUnlock()
	if found != nil {
		return found
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[key] == nil {
		g.of[key] = &orderGuard{retrying: map[string]int{}}
	}
	return g.of[key]
}

// shut shuts the orderGuards of a topic behind which the client has records.
func (g *orderGuards) shut(topic string) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for where, one := range g.of {
		if where.topic != topic || g.closed {
			continue
		}
		one.mu.Lock()
		one.shut = one.shut || one.handed > 0
		one.mu.Unlock()
	}
}

// open opens all orderGuards once the client is closed, and returns what they held.
func (g *orderGuards) open() []entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	var held []entry
	for _, one := range g.of {
		one.mu.Lock()
		held = append(held, one.held...)
		one.held, one.shut = nil, false
		one.mu.Unlock()
	}
	return held
}

// pass reports whether e may go to the client now. If not, it is held back or
// in the retry queue.
func (p *Producer) pass(e entry) bool {
	g := e.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		g.held = append(g.held, p.putAside(e))
		return false
	}
	return p.direct(e)
}

// direct sends e the way of its key: true is to the client, which the caller
// does without g's lock. The lock must be held.
func (p *Producer) direct(e entry) bool {
	g := e.guard
	if len(g.retrying) == 0 || g.retrying[string(e.record.Key)] == 0 {
		g.handed++
		return true
	}
	p.toRetryQueue(p.putAside(e))
	return false
}

// toRetryQueue puts e, which is aside, into the retry queue, or answers it where p is
// closed. The guard's lock must be held, so that both have one order.
func (p *Producer) toRetryQueue(e entry) (accepted bool) {
	if !p.enqueue(e) {
		p.complete(e, ErrClosed)
		return false
	}
	if e.guard != nil {
		e.guard.retrying[string(e.record.Key)]++
	}
	return true
}

// refused takes e, which the client has failed, to the retry queue and shuts its guard.
func (p *Producer) refused(e entry) {
	e = p.putAside(e)
	if e.guard == nil {
		p.toRetryQueue(e)
		return
	}
	if e.guard.isOpen() {
		p.guards.shut(e.record.Topic)
	}
	e.guard.mu.Lock()
	if p.toRetryQueue(e) {
		e.guard.shut, e.guard.again = true, true
	}
	e.guard.mu.Unlock()
	p.answered(e.guard)
}

// answered counts an answer of the client. After the last one a shut guard lets
// go what it held.
func (p *Producer) answered(g *orderGuard) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handed--
	if g.handed > 0 || !g.shut || g.releasing {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // Close opens the orderGuard
		return
	}
	g.releasing, g.again = true, false
	p.wg.Go(func() { p.release(g) })
}

// release lets go what g held, in order, and opens it. A new refusal ends it:
// it begins again when the client has answered for everything once more.
func (p *Producer) release(g *orderGuard) {
	for {
		e, more := p.next(g)
		if !more {
			return
		}
		if e.record != nil {
			p.send(e)
		}
	}
}

// next takes one record out of g; none means that it went to the retry queue. No more
// means that this release is over.
func (p *Producer) next(g *orderGuard) (e entry, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.again && g.handed > 0 {
		g.releasing = false
		return entry{}, false
	}
	g.again = false
	if len(g.held) == 0 {
		g.shut, g.releasing, g.held = false, false, nil
		return entry{}, false
	}
	e = g.held[0]
	g.held = g.held[1:]
	if !p.direct(e) {
		return entry{}, true
	}
	return e, true
}

func (g *orderGuard) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut
}

// retried notes that the retry queue is done with r. A nil orderGuard has nothing to note.
func (g *orderGuard) retried(r *kgo.Record) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := string(r.Key)
	if g.retrying[key]--; g.retrying[key] <= 0 {
		delete(g.retrying, key)
	}
}
