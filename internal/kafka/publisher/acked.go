package publisher

import "sync"

// acked holds the highest acknowledged offset of each partition.
type acked struct {
	mu   sync.Mutex
	next []int64 // by partition: the offset plus one
}

func (a *acked) raise(partition int32, offset int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for int(partition) >= len(a.next) {
		a.next = append(a.next, 0)
	}
	a.next[partition] = max(a.next[partition], offset+1)
}

func (a *acked) get(partition int32) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if int(partition) < len(a.next) {
		return a.next[partition] - 1
	}
	return -1
}
