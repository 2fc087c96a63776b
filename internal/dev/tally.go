package dev

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

// tally counts what becomes of produced requests. It is safe for concurrent
// use.
type tally struct {
	mu     sync.Mutex
	open   map[string]track // by message id
	scores map[by]*score
}

// by is what is counted apart.
type by struct {
	channel models.Channel
	lane    models.Lane
}

// compare orders by channel, then by lane, the most urgent first.
func (b by) compare(o by) int {
	return cmp.Or(cmp.Compare(b.channel, o.channel), cmp.Compare(b.lane.Rank(), o.lane.Rank()))
}

type track struct {
	by

	scenario string
	since    time.Time
}

type score struct {
	produced, sent, canceled, retries int
	failed                            map[string]int // by failure class
	times                             []time.Duration
}

// newTally makes an empty tally.
func newTally() *tally {
	t := &tally{open: map[string]track{}, scores: map[by]*score{}}
	for _, c := range models.Channels() {
		for _, l := range models.Lanes() {
			t.scores[by{c, l}] = &score{failed: map[string]int{}}
		}
	}
	return t
}

// produced notes a request that is on its way.
func (t *tally) produced(r ops.Request, lane models.Lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	on := by{r.Channel, lane}
	t.open[r.MessageID] = track{on, r.Scenario, time.Now()}
	t.scores[on].produced++
}

// saw notes an event. It returns what is known of the request and how long it
// has been on its way, and false for a request that is not of this tally.
func (t *tally) saw(ev models.StatusEvent) (request track, age time.Duration, ours bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	request, ours = t.open[ev.MessageID]
	if !ours {
		return track{}, 0, false
	}
	s, age := t.scores[request.by], time.Since(request.since)
	switch ev.EventType {
	case models.EventRetry:
		s.retries++
	case models.EventSent:
		s.sent++
	case models.EventFailed:
		s.failed[class(ev.Error)]++
	case models.EventCanceled:
		s.canceled++
	case models.EventQueued, models.EventAttempt:
	}
	if ev.EventType.Final() {
		s.times = append(s.times, age)
		delete(t.open, ev.MessageID)
	}
	return request, age, true
}

// class is the first word of an error text: its failure type.
func class(text string) string {
	var word string
	if _, err := fmt.Sscan(text, &word); err != nil {
		return "unknown"
	}
	return word
}

// waiting returns how many requests have no outcome yet.
func (t *tally) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// write prints a table with a line a channel and lane.
func (t *tally) write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	types := []string{"permanent", "transient", "validation", "unknown"}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "channel\tlane\trequests\tsent\tpermanent\ttransient\tvalidation\tunknown\tcanceled\topen\tretries\tmedian\tp95\tmax\t")
	for _, on := range slices.SortedFunc(maps.Keys(t.scores), by.compare) {
		s := t.scores[on]
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d", on.channel, on.lane, s.produced, s.sent)
		open := s.produced - s.sent - s.canceled
		for _, name := range types {
			fmt.Fprintf(tw, "\t%d", s.failed[name])
			open -= s.failed[name]
		}
		slices.Sort(s.times)
		fmt.Fprintf(tw, "\t%d\t%d\t%d\t%s\t%s\t%s\t\n", s.canceled, open, s.retries, at(s.times, 0.5), at(s.times, 0.95), at(s.times, 1))
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print summary: %w", err)
	}
	return nil
}

// at returns a quantile of sorted times.
func at(times []time.Duration, q float64) string {
	if len(times) == 0 {
		return "-"
	}
	return times[int(q*float64(len(times)-1))].Round(time.Millisecond).String()
}
