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

// take waits until a message of size bytes fits, or for ctx. It calls beat
// about every second meanwhile: waiting for room is not being stuck.
func (p *pending) take(ctx context.Context, size int64, beat func()) error {
	for !p.tryTake(size) {
		select {
		case <-p.freed:
		case <-time.After(time.Second):
			beat()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (p *pending) release(size int64) {
	p.mu.Lock()
	p.messages--
	p.bytes -= size
	p.mu.Unlock()
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// count returns what is pending now.
func (p *pending) count() (messages int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages, p.bytes
}
