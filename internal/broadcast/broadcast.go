// Package broadcast wakes everybody who waits for a change.
package broadcast

import "sync"

// Signal tells any number of waiters that something has changed. The zero
// Signal is ready. It is safe for concurrent use.
//
// A waiter takes Next before it looks at the state, so that no change between
// its look and its wait is missed.
type Signal struct {
	mu   sync.Mutex
	next chan struct{} // nil while nobody has asked since the last Send
}

// Next returns a channel that the next Send closes.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

// Send wakes all who wait for the channel that Next has returned to them. It
// does not block.
func (s *Signal) Send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
