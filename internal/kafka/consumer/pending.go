package consumer

import (
	"context"
	"sync"
	"time"
)

// pending counts what was read and is not finished, and says when there is
// room for more. One goroutine waits for room; any number release.
type pending struct {
	maxMessages int
	maxBytes    int64

	mu       sync.Mutex
	messages int
	bytes    int64
	freed    chan struct{} // holds one token: the waiter looks again by itself
}

func newPending(maxMessages int, maxBytes int64) *pending {
	return &pending{maxMessages: maxMessages, maxBytes: maxBytes, freed: make(chan struct{}, 1)}
}

// tryTake admits one message of size bytes when it fits. A message larger
// than the whole bound is admitted alone.
func (p *pending) tryTake(size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.messages > 0 && (p.messages >= p.maxMessages || p.bytes+size > p.maxBytes) {
		return false
	}
	p.messages++
	p.bytes += size
	return true
}

// gatherFor is how long take lets further room gather where only little has come.
const gatherFor = time.Millisecond

// take waits until a message of size bytes fits, or for ctx. It calls beat
// about every second meanwhile: waiting for room is not being stuck. To wake for
// each message that is finished costs more than the message: it looks again once
// there is room for a sixteenth of what fits, or gatherFor after some came.
func (p *pending) take(ctx context.Context, size int64, beat func()) error {
	if p.tryTake(size) {
		return nil
	}
	second := time.NewTicker(time.Second)
	defer second.Stop()
	freed, gathered := p.freed, (<-chan time.Time)(nil)
	for gathered != nil || !p.tryTake(size) {
		select {
		case <-freed:
			if !p.roomy() {
				freed, gathered = nil, time.After(gatherFor)
			}
		case <-gathered:
			freed, gathered = p.freed, nil
		case <-second.C:
			beat()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// roomy reports whether there is room for a sixteenth of what fits.
func (p *pending) roomy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages <= p.maxMessages-p.maxMessages/16 && p.bytes <= p.maxBytes-p.maxBytes/16
}

// release gives a message's room back.
func (p *pending) release(size int64) {
	p.mu.Lock()
	p.messages--
	p.bytes -= size
	p.mu.Unlock()
	putToken(p.freed)
}

// count returns what is pending now.
func (p *pending) count() (messages int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages, p.bytes
}
