package load

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

const (
	// quietPeriod is how long final events are still read when every message has
	// one: a second one would come close behind.
	quietPeriod = time.Second
	// lostShown is how many lost messages a report names.
	lostShown = 10
)

// await follows the messages of a run to their ends on the status topic.
type await struct {
	follower *ops.Follower
	run      runID

	mu       sync.Mutex
	ledger   ledger
	sent     uint64
	failed   uint64
	canceled uint64
	last     time.Time // when the last final event was seen
	latency  histogram
}

// acked notes that Kafka has message n.
func (a *await) acked(n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ledger.ack(n)
}

// ended returns how many messages are final.
func (a *await) ended() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sent + a.failed + a.canceled
}

// follow notes the run's final events until ctx ends.
func (a *await) follow(ctx context.Context) error {
	for r, err := range a.follower.Records(ctx) {
		if err != nil {
			return err
		}
		if n, ours := a.run.number(r.Key); ours {
			a.note(n, r)
		}
	}
	return nil // not reached: Records ends with an error
}

func (a *await) note(n uint64, r *kgo.Record) {
	event, err := models.DecodeStep(r.Value, r.Headers)
	if err != nil || !event.EventType.Final() { // what is no JSON is not the workers'
		return
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = now
	if !a.ledger.final(n) {
		return
	}
	switch event.EventType {
	case models.EventSent:
		a.sent++
	case models.EventCanceled:
		a.canceled++
	default:
		a.failed++
	}
	if produced, ok := sourceTime(r); ok {
		a.latency.add(now.Sub(produced))
	}
}

// sourceTime returns when the request of an event was produced, and false where
// that is not known.
func sourceTime(r *kgo.Record) (time.Time, bool) {
	source, _ := models.SourceOf(r.Headers)
	at := time.UnixMilli(source.Timestamp)
	return at, models.UsableTime(at)
}

// wait returns once every message is final, or none has become so for patience.
func (a *await) wait(ctx context.Context, patience time.Duration) {
	begun := time.Now()
	for {
		a.mu.Lock()
		open, quiet := a.ledger.open, min(time.Since(a.last), time.Since(begun))
		a.mu.Unlock()
		if open == 0 && quiet >= quietPeriod || quiet >= patience || lifetime.Sleep(ctx, 50*time.Millisecond) != nil {
			return
		}
	}
}

// ends returns what became of the messages; those without an end are lost,
// unless the run was cut short.
func (a *await) ends(begun time.Time, short bool) *Ends {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &Ends{Sent: a.sent, Failed: a.failed, Canceled: a.canceled, Doubled: a.ledger.extra, Latency: a.latency.sum()}
	if !a.last.IsZero() {
		e.Seconds = rounded(a.last.Sub(begun).Seconds())
	}
	if short {
		e.Open = a.ledger.open
		return e
	}
	e.Lost = a.ledger.open
	for _, n := range a.ledger.lost(lostShown) {
		id := []byte(a.run.prefix + strings.Repeat("0", idDigits))
		a.run.put(id, n)
		e.LostIDs = append(e.LostIDs, string(id))
	}
	slices.Sort(e.LostIDs)
	return e
}

// String returns the outcome in a sentence.
func (e *Ends) String() string {
	text := fmt.Sprintf("%d sent, %d failed, ", e.Sent, e.Failed)
	if e.Canceled > 0 {
		text += fmt.Sprintf("%d canceled, ", e.Canceled)
	}
	if e.Open > 0 {
		return fmt.Sprintf("%s%d without an outcome yet, %d doubled", text, e.Open, e.Doubled)
	}
	return fmt.Sprintf("%s%d lost, %d doubled", text, e.Lost, e.Doubled)
}
