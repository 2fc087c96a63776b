package publisher

import (
	"sync"
	"sync/atomic"
)

// table holds a cell for each partition, made when it is first asked for. It
// is asked for every message, so reading takes no exclusive lock.
type table[T any] struct {
	mu    sync.RWMutex
	cells []*T // by partition
}

// look returns the partition's cell, or nil where none was made.
func (t *table[T]) look(partition int32) *T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if int(partition) < len(t.cells) {
		return t.cells[partition]
	}
	return nil
}

// of returns the partition's cell.
func (t *table[T]) of(partition int32) *T {
	if cell := t.look(partition); cell != nil {
		return cell
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for int(partition) >= len(t.cells) {
		t.cells = append(t.cells, new(T))
	}
	return t.cells[partition]
}

// acked holds the highest acknowledged offset of each partition: the value is
// the offset plus one.
type acked struct{ table[atomic.Int64] }

func (a *acked) raise(partition int32, offset int64) {
	v := a.of(partition)
	for {
		old := v.Load()
		if offset+1 <= old || v.CompareAndSwap(old, offset+1) {
			return
		}
	}
}

func (a *acked) get(partition int32) int64 {
	if v := a.look(partition); v != nil {
		return v.Load() - 1
	}
	return -1
}
