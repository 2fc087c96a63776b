package load

import "sync"

// pageSize is how many messages a page of the ledger holds.
const pageSize = 1 << 16

// page has two bits a message: Kafka acknowledged it, and it has a final
// event.
type page struct {
	acked, final [pageSize / 64]uint64
	done         int // messages that are both
}

// ledger knows of each message of a run whether it was acknowledged and
// whether it is final. A page whose messages are all done is let go, so that
// its size depends on what is open and not on how many there were. It is safe
// for concurrent use.
type ledger struct {
	mu     sync.Mutex
	pages  map[uint64]*page
	closed map[uint64]bool // pages that were let go
	open   int64           // acknowledged and not final
	finals uint64
	extra  uint64 // final events of messages that had one
}

func newLedger() *ledger { return &ledger{pages: map[uint64]*page{}, closed: map[uint64]bool{}} }

// ack notes that Kafka has message n. It is called once a message.
func (l *ledger) ack(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, word, bit := l.place(n)
	p.acked[word] |= bit
	if p.final[word]&bit == 0 {
		l.open++
		return
	}
	l.done(p, n)
}

// final records a final event of message n.
func (l *ledger) final(n uint64) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed[n/pageSize] {
		l.extra++
		return false
	}
	p, word, bit := l.place(n)
	if p.final[word]&bit != 0 {
		l.extra++
		return false
	}
	p.final[word] |= bit
	l.finals++
	if p.acked[word]&bit != 0 {
		l.open--
		l.done(p, n)
	}
	return true
}

func (l *ledger) place(n uint64) (p *page, word uint64, bit uint64) {
	p = l.pages[n/pageSize]
	if p == nil {
		p = &page{}
		l.pages[n/pageSize] = p
	}
	return p, n % pageSize / 64, 1 << (n % 64)
}

func (l *ledger) done(p *page, n uint64) {
	if p.done++; p.done == pageSize {
		delete(l.pages, n/pageSize)
		l.closed[n/pageSize] = true
	}
}

// tally returns how many messages are acknowledged and not final, how many are
// final, and how many final events were too many.
func (l *ledger) tally() (open int64, finals, extra uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.finals, l.extra
}

// lost returns the numbers of some messages that are acknowledged and not
// final, at most that many.
func (l *ledger) lost(most int) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []uint64
	for at, p := range l.pages {
		for word := range p.acked {
			for bit := range uint64(64) {
				if (p.acked[word]&^p.final[word])>>bit&1 == 1 && len(list) < most {
					list = append(list, at*pageSize+uint64(word)*64+bit)
				}
			}
		}
	}
	return list
}
