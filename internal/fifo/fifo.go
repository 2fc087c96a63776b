// Package fifo holds what waits for its turn in the order of its coming.
package fifo

import (
	"iter"
	"slices"
)

// Queue is a first-in, first-out queue. The zero Queue is empty. It is not safe
// for concurrent use.
type Queue[T any] struct {
	items []T
	first int // index of the first in items: Pop must not move the others
}

// keep bounds the array that an emptied queue keeps, and what is popped before
// the rest is moved to the front.
const keep = 1024

// Len returns how many items wait.
func (q *Queue[T]) Len() int { return len(q.items) - q.first }

// Push adds an item behind all others.
func (q *Queue[T]) Push(item T) { q.items = append(q.items, item) }

// Insert adds an item to a queue that is in the order of compare, which tells
// all items apart.
func (q *Queue[T]) Insert(item T, compare func(a, b T) int) {
	at, _ := slices.BinarySearchFunc(q.items[q.first:], item, compare)
	q.items = slices.Insert(q.items, q.first+at, item)
}

// Remove takes an item out of a queue that is in the order of compare, where it
// is there.
func (q *Queue[T]) Remove(item T, compare func(a, b T) int) {
	if at, ok := slices.BinarySearchFunc(q.items[q.first:], item, compare); ok {
		q.items = slices.Delete(q.items, q.first+at, q.first+at+1)
	}
}

// All returns the items in their order.
func (q *Queue[T]) All() iter.Seq[T] { return slices.Values(q.items[q.first:]) }

// Peek returns the first item and leaves it in the queue; false where there is
// none.
func (q *Queue[T]) Peek() (item T, ok bool) {
	if q.Len() == 0 {
		return item, false
	}
	return q.items[q.first], true
}

// Pop takes the first item out; false where there is none.
func (q *Queue[T]) Pop() (item T, ok bool) {
	if q.Len() == 0 {
		return item, false
	}
	var zero T
	item, q.items[q.first] = q.items[q.first], zero // the array must not hold on to it
	q.first++
	switch {
	case q.Len() == 0 && cap(q.items) > keep:
		q.items, q.first = nil, 0
	case q.Len() == 0:
		q.items, q.first = q.items[:0], 0
	case q.first > keep && q.first > q.Len():
		q.items, q.first = slices.Delete(q.items, 0, q.first), 0
	}
	return item, true
}

// Extract takes out the items that match, and returns them in their order. The
// others keep theirs.
func (q *Queue[T]) Extract(match func(T) bool) []T {
	var out []T
	rest := slices.DeleteFunc(q.items[q.first:], func(item T) bool {
		matches := match(item)
		if matches {
			out = append(out, item)
		}
		return matches
	})
	q.items = q.items[:q.first+len(rest)]
	return out
}
