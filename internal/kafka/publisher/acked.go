package publisher

import (
	"sync"
	"sync/atomic"
)

// acked holds the highest acknowledged offset of each partition. It is asked
// for every message, so reading takes no exclusive lock.
type acked struct {
	mu      sync.RWMutex
	offsets []*atomic.Int64 // by partition; the value is the offset plus one
}

func (a *acked) of(partition int32) *atomic.Int64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if int(partition) < len(a.offsets) {
		return a.offsets[partition]
	}
	return nil
}

func (a *acked) raise(partition int32, offset int64) {
	v := a.of(partition)
	if v == nil {
		v = a.grow(partition)
	}
	for {
		old := v.Load()
		if offset+1 <= old || v.CompareAndSwap(old, offset+1) {
			return
		}
	}
}

func (a *acked) grow(partition int32) *atomic.Int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	for int(partition) >= len(a.offsets) {
		a.offsets = append(a.offsets, new(atomic.Int64))
	}
	return a.offsets[partition]
}

func (a *acked) get(partition int32) int64 {
	if v := a.of(partition); v != nil {
		return v.Load() - 1
	}
	return -1
}
