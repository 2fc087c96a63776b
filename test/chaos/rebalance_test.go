package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// group are the workers of one consumer group, each with a ledger of its own, so that it
// is known who made a call.
type group struct {
	t       *testing.T
	s       *stage.Stage
	dir     string
	env     map[string]string
	ledgers []string
}

// start starts a worker and waits until it has partitions.
func (g *group) start() *stage.Worker {
	g.t.Helper()
	env := maps.Clone(g.env)
	ledger := filepath.Join(g.dir, "ledger-"+strconv.Itoa(len(g.ledgers)))
	g.ledgers = append(g.ledgers, ledger)
	env["MOCK_LEDGER_FILE"] = ledger
	w := g.s.Work(env)
	w.WaitLog("journal read")
	w.WaitReady(http.StatusOK)
	return w
}

// delivered returns how many lines all ledgers have.
func (g *group) delivered() int {
	n := 0
	for _, ledger := range g.ledgers {
		n += stage.Lines(ledger)
	}
	return n
}

// more waits until n further recipients are reached.
func (g *group) more(n int) {
	g.t.Helper()
	target := g.delivered() + n
	stage.Eventually(g.t, func() string {
		if got := g.delivered(); got < target {
			return fmt.Sprintf("%d deliveries, want %d", got, target)
		}
		return ""
	})
}

// Workers join, leave, stand still and die under load, 1 → 3 → 2: nothing is lost,
// and nobody is called twice but for kills, and for calls under way in a process
// that stood still for longer than its group waits for it. Meanwhile orders pause
// one lane and another.
func TestRebalances(t *testing.T) {
	t.Parallel()
	r := chance(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{Control: true}))
	g := &group{t: t, s: s, dir: t.TempDir(), env: map[string]string{
		"MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": strconv.Itoa(slots / 2), "MAX_ATTEMPTS": "100",
		"LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "6", "PROVIDER_TIMEOUT_SECONDS": "10",
	}}
	rounds := pick(1, 6)
	step := pick(400, 2000) // deliveries between two changes
	ids := putTwins(t, s, pick(400, 2000), func(int) map[string]any { return mixed(r.IntN) })
	stopFeeding, resume := feed(t, s, r), pausing(t, s, r)
	killed := map[int]bool{} // by number of the ledger; and who stood still
	first := g.start()
	for range rounds {
		g.more(step)
		second := g.start() // 1 → 2
		g.more(step)
		third := g.start() // 2 → 3
		g.more(step)
		second.Stop()                                              // 3 → 2, clean
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond) // in the middle of the rebalance, or after it
		killed[g.numberOf(third)] = true
		third.Signal(syscall.SIGSTOP)
		fourth := g.start() // the group has given up on the third
		g.more(step)
		third.Signal(syscall.SIGCONT)
		g.more(step)
		if r.IntN(2) == 0 {
			first, third = third, first
		}
		killed[g.numberOf(first)] = true
		first.Kill() // 3 → 2, dirty
		g.more(step)
		third.Stop() // 2 → 1
		first = fourth
	}
	ids.add(stopFeeding())
	resume()
	s.Committed()
	g.judge(ids, killed)
}

// numberOf returns whose ledger is the worker's.
func (g *group) numberOf(w *stage.Worker) int {
	for n, ledger := range g.ledgers {
		if w.Getenv("MOCK_LEDGER_FILE") == ledger {
			return n
		}
	}
	g.t.Fatal("a worker without ledger")
	return -1
}

func (g *group) judge(ids requests, killed map[int]bool) {
	g.t.Helper()
	var all []accepted
	callers := map[whom][]int{} // by number of their ledgers
	for n, ledger := range g.ledgers {
		list := readLedger(g.t, ledger)
		all = append(all, list...)
		for _, a := range list {
			key := whom{a.id, a.recipient}
			callers[key] = append(callers[key], n)
		}
	}
	byKill := map[int]int{}
	clean := 0
	for key, numbers := range callers {
		again := len(numbers) - ids[key.id]
		dead := slices.IndexFunc(numbers, func(n int) bool { return killed[n] })
		switch {
		case again <= 0:
		case dead >= 0:
			byKill[numbers[dead]] += again
		default:
			clean += again
		}
	}
	if lost := missing(all, ids, 1); lost > 0 {
		g.t.Errorf("%d messages were never delivered", lost)
	}
	checkHistories(g.t, g.s, ids, all)
	var numbers []int
	for n := range killed {
		numbers = append(numbers, byKill[n])
		if byKill[n] > slots {
			g.t.Errorf("a kill had %d calls made twice, want at most %d", byKill[n], slots)
		}
	}
	if clean > 0 {
		g.t.Errorf("%d calls were made twice without a kill", clean)
	}
	g.t.Logf("%d messages, %d workers, %d kills; called twice at kills: %s; else %d",
		ids.count(), len(g.ledgers), len(killed), distribution(numbers), clean)
}

// feed produces some 700 messages a second until it is stopped, of which one
// in fifty fails its first attempt. Stop returns their ids.
func feed(t *testing.T, s *stage.Stage, r *rand.Rand) (stop func() map[string]bool) {
	t.Helper()
	seeded := rand.New(rand.NewPCG(r.Uint64(), 0))
	return trickle(t, s, 50*time.Millisecond, 35, func() map[string]any { return mixed(seeded.IntN) })
}

// putMixed produces messages of which one in fifty fails its first attempt.
func putMixed(s *stage.Stage, n int, choose func(int) int) map[string]bool {
	return s.PutEach(n, func(int) map[string]any { return mixed(choose) })
}

// mixed has one request in fifty fail its first attempt.
func mixed(choose func(int) int) map[string]any {
	if choose(50) == 0 {
		return stage.Hints("scenario", "transient", "scenario_failures", "1")
	}
	return nil
}
