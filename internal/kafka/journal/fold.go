// Package journal reads the status topic back as a write-ahead log: what has
// become of the requests that a partition's earlier owners had begun.
package journal

import (
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// Key names one request record of a partition, as models.Source does.
type Key struct {
	Offset    int64
	Timestamp int64 // milliseconds
}

// Fold gathers the events of requests, in any order and however often each is
// seen. A request is finished if and only if a final event of it was seen; what
// is known of the others is message.Progress. The zero Fold is not usable; make
// one with NewFold.
type Fold struct {
	requests map[Key]*message.Progress // those that are not finished
	finished finished                  // nobody asks more of these, and a log has millions
	highest  int64                     // the highest request offset seen, or -1
}

// NewFold makes an empty fold.
func NewFold() *Fold { return &Fold{requests: map[Key]*message.Progress{}, highest: -1} }

// Add takes one event of a request.
func (f *Fold) Add(k Key, ev *models.StatusEvent) {
	f.highest = max(f.highest, k.Offset)
	if f.finished.has(k) {
		return
	}
	if ev.EventType.Final() {
		delete(f.requests, k)
		f.finished.add(k)
		return
	}
	p, ok := f.requests[k]
	if !ok {
		p = &message.Progress{}
		f.requests[k] = p
	}
	p.Apply(ev)
}

// Look returns the progress of a request, and whether it is finished.
func (f *Fold) Look(k Key) (p message.Progress, finished bool) {
	if f.finished.has(k) {
		return message.Progress{}, true
	}
	if p, ok := f.requests[k]; ok {
		return *p, false
	}
	return message.Progress{}, false
}

// Highest returns the highest request offset seen, or -1.
func (f *Fold) Highest() int64 { return f.highest }

// Len returns how many requests were seen.
func (f *Fold) Len() int { return len(f.requests) + f.finished.n }

// pageSize is how many neighbouring offsets share a page; a power of two.
const pageSize = 256

// pageOf returns the page of an offset, and its index there.
func pageOf(offset int64) (number, i int64) { return offset &^ (pageSize - 1), offset & (pageSize - 1) }

// finished is a set of requests that takes some nine bytes for each where
// their offsets are close together, as those of a partition are. The zero set
// is empty.
type finished struct {
	pages map[int64]*page  // by their first offset
	twins map[Key]struct{} // a further record at an offset: the topic was created again
	n     int
}

// page holds the timestamp of one finished request for each of its offsets.
type page struct {
	set [pageSize]bool
	at  [pageSize]int64
}

func (f *finished) has(k Key) bool {
	number, i := pageOf(k.Offset)
	if p := f.pages[number]; p != nil && p.set[i] && p.at[i] == k.Timestamp {
		return true
	}
	_, ok := f.twins[k]
	return ok
}

// add takes a request that is not in the set.
func (f *finished) add(k Key) {
	f.n++
	number, i := pageOf(k.Offset)
	p := f.pages[number]
	if p == nil {
		if f.pages == nil {
			f.pages, f.twins = map[int64]*page{}, map[Key]struct{}{}
		}
		p = new(page)
		f.pages[number] = p
	}
	if p.set[i] {
		f.twins[k] = struct{}{}
		return
	}
	p.set[i], p.at[i] = true, k.Timestamp
}
