package load

// pageSize is how many messages a page of the ledger holds.
const pageSize = 1 << 16

// What a ledger knows of a message.
const (
	knownAcked = 1 << iota // Kafka has it
	knownFinal             // it has a final event
)

// page is what is known of its messages, and of how many all is known.
type page struct {
	known [pageSize]uint8
	done  int
}

// ledger knows of each message of a run whether it was acknowledged and
// whether it is final. A page whose messages are all done is let go, so that
// its size depends on what is open and not on how many there were.
type ledger struct {
	pages map[uint64]*page // nil for one that was let go
	open  int64            // acknowledged and not final
	extra uint64           // final events of messages that had one
}

// ack notes that Kafka has message n. It is called once a message.
func (l *ledger) ack(n uint64) {
	if l.learn(n, knownAcked) == 0 {
		l.open++
	}
}

// final records a final event of message n.
func (l *ledger) final(n uint64) (first bool) {
	switch l.learn(n, knownFinal) {
	case 0:
		return true
	case knownAcked:
		l.open--
		return true
	}
	l.extra++
	return false
}

// learn adds to what is known of message n, and returns what was.
func (l *ledger) learn(n uint64, what uint8) (was uint8) {
	p, known := l.pages[n/pageSize]
	switch {
	case !known:
		p = &page{}
		l.pages[n/pageSize] = p
	case p == nil:
		return knownAcked | knownFinal
	}
	at := &p.known[n%pageSize]
	was, *at = *at, *at|what
	if was != *at && *at == knownAcked|knownFinal {
		p.done++
	}
	if p.done == pageSize {
		l.pages[n/pageSize] = nil
	}
	return was
}

// lost returns the numbers of some messages that are acknowledged and not
// final, at most that many.
func (l *ledger) lost(most int) []uint64 {
	var list []uint64
	for at, p := range l.pages {
		if p == nil {
			continue
		}
		for i, known := range p.known[:] {
			if known == knownAcked && len(list) < most {
				list = append(list, at*pageSize+uint64(i))
			}
		}
	}
	return list
}
