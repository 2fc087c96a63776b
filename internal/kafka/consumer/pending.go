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
	roomy    chan struct{} // holds one token: the waiter looks again by itself
}

func newPending(maxMessages int, maxBytes int64) *pending {
	return &pending{maxMessages: maxMessages, maxBytes: maxBytes, roomy: make(chan struct{}, 1)}
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

// recheckAfter bounds the wait for enough room: it comes late where most of what
// is pending backs off for long.
const recheckAfter = time.Millisecond

// take waits until a message of size bytes fits, or for ctx. It calls beat
// about every second meanwhile: waiting for room is not being stuck.
func (p *pending) take(ctx context.Context, size int64, beat func()) error {
	if p.tryTake(size) {
		return nil
	}
	recheck := time.NewTicker(recheckAfter)
	defer recheck.Stop()
	for next := time.Now().Add(time.Second); !p.tryTake(size); {
		select {
		case <-p.roomy:
		case now := <-recheck.C:
			if !now.Before(next) {
				beat()
				next = next.Add(time.Second)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// release gives a message's room back. It wakes take once there is room for a
// sixteenth of what fits: to wake for each message costs more than the message.
func (p *pending) release(size int64) {
	p.mu.Lock()
	p.messages--
	p.bytes -= size
	roomy := p.messages <= p.maxMessages-p.maxMessages/16 && p.bytes <= p.maxBytes-p.maxBytes/16
	p.mu.Unlock()
	if !roomy {
		return
	}
	select {
	case p.roomy <- struct{}{}:
	default:
	}
}

// count returns what is pending now.
func (p *pending) count() (messages int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages, p.bytes
}
