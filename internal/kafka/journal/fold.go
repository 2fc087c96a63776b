// Package journal reads the status topic back as a write-ahead log: what has
// become of the requests that a partition's earlier owners had begun.
package journal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// Key names one request record. The timestamp tells a record from another at
// the same offset of a topic that was created again.
type Key struct {
	Offset    int64
	Timestamp int64 // milliseconds
}

// Fold gathers the events of requests, in any order and however often each is
// seen. The zero Fold is not usable; make one with NewFold.
//
// Invariants, for any interleaving of owners, repetitions and orders:
//   - a request is finished if and only if a sent or failed was seen
//   - no attempt that was seen is forgotten, unless its last run was taken
//     back before any call of it
//   - a recipient that any retry does not list as open is not open, and stays
//     refused or assumed where any says so: an owner's last events may land
//     behind what its successor wrote without knowing them
type Fold struct {
	requests map[Key]*state // those that are not finished
	finished finished       // nobody asks more of these, and a log has millions
	highest  int64          // the highest request offset seen, or -1
}

// state is what is known of one request that is not finished.
type state struct {
	queued   bool
	attempts int // the highest seen
	runs     int // how often that attempt was published, as far as is known
	unmade   int // the highest of its runs that was taken back
	retry    int // the highest seen whose calls were made
	refusal  int // the highest seen that says why a recipient was refused
	progress message.Progress

	// notBefore is the latest time of a retry that took an attempt back: a
	// call of its round may have been told a Retry-After.
	notBefore time.Time
}

// NewFold makes an empty fold.
func NewFold() *Fold { return &Fold{requests: map[Key]*state{}, highest: -1} }

// Event is the part of a status event that the fold needs.
type Event struct {
	Type      models.EventType
	Attempt   int
	Timestamp time.Time
	Meta      map[string]string // of the provider response
	Run       int               // of an attempt; 0 means the first
}

// unmade returns the run of the attempt that a retry takes back, or 0.
func (e *Event) unmade() int {
	n, _ := strconv.Atoi(e.Meta[models.MetaNotCalled]) // foreign text takes nothing back
	return n
}

// Add takes one event of a request.
func (f *Fold) Add(k Key, e Event) {
	f.highest = max(f.highest, k.Offset)
	if f.finished.has(k) {
		return
	}
	s, ok := f.requests[k]
	if !ok {
		s = &state{}
		f.requests[k] = s
	}
	switch e.Type {
	case models.EventSent, models.EventFailed:
		delete(f.requests, k)
		f.finished.add(k)
	case models.EventQueued:
		s.queued = true
	case models.EventAttempt:
		s.seen(e)
	case models.EventRetry:
		s.seen(e)
		s.addRetry(e)
	}
}

// seen notes an attempt, and when an unfinished request was last heard of. A
// run is known by its number, so that neither order nor repetition counts.
func (s *state) seen(e Event) {
	if e.Attempt > s.attempts {
		s.attempts, s.runs, s.unmade = e.Attempt, 0, 0
	}
	if e.Attempt == s.attempts {
		s.runs = max(s.runs, e.Run, 1)
		s.unmade = max(s.unmade, e.unmade())
	}
	if e.Timestamp.After(s.progress.LastEvent) {
		s.progress.LastEvent = e.Timestamp
	}
}

func (s *state) addRetry(e Event) {
	p := &s.progress
	if p.FirstError.IsZero() || e.Timestamp.Before(p.FirstError) {
		p.FirstError = e.Timestamp
	}
	next, _ := time.Parse(time.RFC3339Nano, e.Meta[models.MetaNextAttemptAt]) // unreadable: due now
	switch {
	case e.unmade() > 0:
		s.notBefore = latest(s.notBefore, next)
	case e.Attempt > s.retry:
		s.retry, p.NextAt = e.Attempt, next
	case e.Attempt == s.retry:
		p.NextAt = latest(p.NextAt, next)
	}
	list, ok := e.Meta[models.MetaOpenRecipients]
	if !ok {
		return // there is but one recipient
	}
	open := indexes(list)
	if p.Reached {
		open = slices.DeleteFunc(open, func(i int) bool { return !slices.Contains(p.Open, i) })
	}
	p.Reached, p.Open = true, open
	p.Refused = union(p.Refused, indexes(e.Meta[models.MetaRefusedRecipients]))
	p.Indeterminate = union(p.Indeterminate, indexes(e.Meta[models.MetaAssumedRecipients]))
	s.refusedFor(e)
}

// refusedFor keeps the words of a refusal that an owner took over from its
// predecessor: those of the highest attempt, and of two owners' at that the
// greater, so that order does not count.
func (s *state) refusedFor(e Event) {
	p, text := &s.progress, e.Meta[models.MetaRefusedError]
	if text == "" || e.Attempt < s.refusal || e.Attempt == s.refusal && text <= p.RefusedFor {
		return
	}
	s.refusal, p.RefusedFor = e.Attempt, text
	p.RefusedBy, _ = strconv.Atoi(e.Meta[models.MetaRefusedCode]) // absent: none
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// union returns the numbers of both lists, ascending.
func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// indexes reads "0,4,17"; what is no number is left out.
func indexes(list string) []int {
	var out []int
	for text := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(text); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// Look returns the progress of a request, and whether it is finished.
func (f *Fold) Look(k Key) (p message.Progress, finished bool) {
	if f.finished.has(k) {
		return message.Progress{}, true
	}
	s, ok := f.requests[k]
	if !ok {
		return message.Progress{}, false
	}
	p = s.progress
	p.Queued = s.queued || s.attempts > 0
	p.NextAt = latest(p.NextAt, s.notBefore)
	if s.unmade >= s.runs && s.attempts > 0 {
		p.Attempts, p.Withdrawn = s.attempts-1, s.unmade
		return p, false
	}
	p.Attempts, p.UnderWay = s.attempts, s.attempts > s.retry
	return p, false
}

// Highest returns the highest request offset seen, or -1.
func (f *Fold) Highest() int64 { return f.highest }

// Len returns how many requests were seen.
func (f *Fold) Len() int { return len(f.requests) + f.finished.n }
