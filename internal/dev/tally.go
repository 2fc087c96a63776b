package dev

import (
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
	mu       sync.Mutex
	open     map[string]track // by message id
	channels map[models.Channel]*score
}

type track struct {
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
	t := &tally{open: map[string]track{}, channels: map[models.Channel]*score{}}
	for _, c := range models.Channels() {
		t.channels[c] = &score{failed: map[string]int{}}
	}
	return t
}

// produced notes a request that is on its way.
func (t *tally) produced(r ops.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[r.MessageID] = track{r.Scenario, time.Now()}
	t.channels[r.Channel].produced++
}

// saw notes an event. It returns the request's scenario and how long it has
// been on its way, and false for a request that is not of this tally.
func (t *tally) saw(ev models.StatusEvent) (scenario string, age time.Duration, ours bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w, ok := t.open[ev.MessageID]
	if !ok {
		return "", 0, false
	}
	s, age := t.channels[ev.Channel], time.Since(w.since)
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
	return w.scenario, age, true
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

// write prints a table with a line a channel.
func (t *tally) write(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	types := []string{"permanent", "transient", "validation", "unknown"}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "channel\trequests\tsent\tpermanent\ttransient\tvalidation\tunknown\tcanceled\topen\tretries\tmedian\tp95\tmax\t")
	for _, c := range slices.Sorted(maps.Keys(t.channels)) {
		s := t.channels[c]
		fmt.Fprintf(tw, "%s\t%d\t%d", c, s.produced, s.sent)
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
