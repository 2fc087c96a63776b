package producer

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A gate keeps the records of one partition in order, key by key, when some
// are refused. The invariant: while a record is not written, no later one of
// its partition and key is with the client that fills batches, unless it went
// there before the refusal was known.
//
//   - Open, and nothing in the lane: all goes to the client.
//   - Shut, from the first refusal until the client has answered for all that
//     it was given: only then is it known who was refused. What is produced
//     meanwhile is held back. One request has batches of many partitions and
//     mostly all are refused, so the first refusal shuts the whole topic; a
//     gate opens when its own partition has its answers.
//   - Open again: a record whose key has records in the lane follows them
//     there; all others go to the client. So a record that is refused for
//     long holds up its own message and no other.
//
// "Known" is when the client's first callback runs, mostly microseconds after
// it has failed the batch. A record produced between the two goes to the
// client, and may be written before one of its key that was refused: the one
// gap.
type gate struct {
	mu        sync.Mutex
	handed    int            // records with the client, not answered
	inLane    map[string]int // records there, by key
	shut      bool
	again     bool // a refusal since the last release began
	releasing bool
	held      []entry // while shut
}

// place is a partition as the caller names it.
type place struct {
	topic     string
	partition int32
}

// gates finds the gate of a record.
type gates struct {
	topics []string // those with an order to keep

	mu     sync.RWMutex
	of     map[place]*gate
	closed bool // none shuts any more
}

// at returns nil for a topic without an order to keep. It must be asked before
// the client has r, which changes the partition.
func (g *gates) at(r *kgo.Record) *gate {
	if !slices.Contains(g.topics, r.Topic) {
		return nil
	}
	key := place{r.Topic, r.Partition}
	g.mu.RLock()
	found := g.of[key]
	g.mu.RUnlock()
	if found != nil {
		return found
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[key] == nil {
		g.of[key] = &gate{inLane: map[string]int{}}
	}
	return g.of[key]
}

// shut shuts the gates of a topic behind which the client has records.
func (g *gates) shut(topic string) {
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

// open opens all gates once the client is closed, and returns what they held.
func (g *gates) open() []entry {
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
// in the lane.
func (p *Producer) pass(e entry) bool {
	g := e.gate
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
	g := e.gate
	if len(g.inLane) == 0 || g.inLane[string(e.record.Key)] == 0 {
		g.handed++
		return true
	}
	p.toLane(p.putAside(e))
	return false
}

// toLane puts e, which is aside, into the lane, or answers it where p is
// closed. The gate's lock must be held, so that the lane's order is the gate's.
func (p *Producer) toLane(e entry) (accepted bool) {
	if !p.repair(e) {
		p.settle(e, ErrClosed)
		return false
	}
	if e.gate != nil {
		e.gate.inLane[string(e.record.Key)]++
	}
	return true
}

// refused takes e, which the client has failed, to the lane and shuts its gate.
func (p *Producer) refused(e entry) {
	e = p.putAside(e)
	if e.gate == nil {
		p.toLane(e)
		return
	}
	if e.gate.isOpen() {
		p.gates.shut(e.record.Topic)
	}
	e.gate.mu.Lock()
	if p.toLane(e) {
		e.gate.shut, e.gate.again = true, true
	}
	e.gate.mu.Unlock()
	p.answered(e.gate)
}

// answered counts an answer of the client. After the last one a shut gate lets
// go what it held.
func (p *Producer) answered(g *gate) {
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
	if p.closed { // Close opens the gate
		return
	}
	g.releasing, g.again = true, false
	p.wg.Go(func() { p.release(g) })
}

// release lets go what g held, in order, and opens it. A new refusal ends it:
// it begins again when the client has answered for everything once more.
func (p *Producer) release(g *gate) {
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

// next takes one record out of g; none means that it went to the lane. No more
// means that this release is over.
func (p *Producer) next(g *gate) (e entry, more bool) {
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

func (g *gate) isOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut
}

// repaired notes that the lane is done with r. A nil gate has nothing to note.
func (g *gate) repaired(r *kgo.Record) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := string(r.Key)
	if g.inLane[key]--; g.inLane[key] <= 0 {
		delete(g.inLane, key)
	}
}
