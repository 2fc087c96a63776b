package chaos_test

import (
	"slices"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// The limit of the whole group, which is one for all lanes, holds while workers
// join, leave and die, and is used up nearly while there is work.
func TestGroupRate(t *testing.T) {
	t.Parallel()
	const rate = 100
	phase := time.Duration(pick(4, 30)) * time.Second
	s := stage.New(t, models.SMS, allLanes(stage.Options{}))
	s.PutMany(rate * pick(60, 250)) // more than can be sent
	g := &group{t: t, s: s, dir: t.TempDir(), env: map[string]string{
		"GROUP_RATE_PER_SECOND": "100", "WORKER_CONCURRENCY": "20", "LOG_LEVEL": "info",
		"KAFKA_SESSION_TIMEOUT_SECONDS": "6", "COMMIT_INTERVAL_SECONDS": "0.2",
	}}
	var begun time.Time
	var workers []*stage.Worker
	work := func() { time.Sleep(phase) } // what is measured is a rate
	for range 3 {
		workers = append(workers, g.start())
		if begun.IsZero() {
			begun = time.Now()
		}
		work()
	}
	workers[2].Kill()
	killed := time.Now()
	time.Sleep(15 * time.Second)
	work()
	workers[1].Stop()
	work()
	ended := time.Now()
	workers[0].Kill()

	var calls []time.Time
	for _, ledger := range g.ledgers {
		for _, a := range readLedger(t, ledger) {
			calls = append(calls, a.at)
		}
	}
	slices.SortFunc(calls, time.Time.Compare)
	// What is seen is when a call ended: a process that stands still for a
	// moment brings more together than it let start. In the short form, beside
	// all other tests, that may be two seconds.
	window, bound := 5*time.Second, 7*rate
	if long() {
		window, bound = time.Second, 105
	}
	most, counted, first := 0, 0, 0
	for i, at := range calls {
		for calls[first].Before(at.Add(-window)) {
			first++
		}
		most = max(most, i-first+1)
		if at.After(begun) && at.Before(ended) && (at.Before(killed) || at.After(killed.Add(15*time.Second))) {
			counted++
		}
	}
	average := float64(counted) / (ended.Sub(begun) - 15*time.Second).Seconds()
	t.Logf("%d calls; at most %d in %v, %.1f a second on average", len(calls), most, window, average)
	if counted == 0 {
		t.Error("no call was counted")
	}
	if most > bound {
		t.Errorf("%d calls in %v, the limit is %d a second", most, window, rate)
	}
	if long() && average < 95 {
		t.Errorf("%.1f calls a second on average, want 95", average)
	}
}
