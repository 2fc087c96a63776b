package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// crew are the workers of one group, each with a ledger of its own, so that it
// is known who made a call.
type crew struct {
	t       *testing.T
	s       *stage.Stage
	dir     string
	env     map[string]string
	ledgers []string
}

// hire starts a worker and waits until it has partitions.
func (c *crew) hire() *stage.Worker {
	c.t.Helper()
	env := maps.Clone(c.env)
	ledger := filepath.Join(c.dir, "ledger-"+strconv.Itoa(len(c.ledgers)))
	c.ledgers = append(c.ledgers, ledger)
	env["MOCK_LEDGER_FILE"] = ledger
	w := c.s.Work(env)
	stage.Eventually(c.t, func() string {
		if !strings.Contains(w.Logs(), "journal read") {
			return "a new worker was given no partition"
		}
		return ""
	})
	w.WaitReady(http.StatusOK)
	return w
}

// leave stops a worker as a roll-out does.
func (c *crew) leave(w *stage.Worker) {
	c.t.Helper()
	w.Signal(syscall.SIGTERM)
	if code := w.Exit(); code != 0 {
		c.t.Errorf("exit code %d, want 0", code)
	}
}

// delivered returns how many lines all ledgers have.
func (c *crew) delivered() int {
	n := 0
	for _, ledger := range c.ledgers {
		n += stage.Lines(ledger)
	}
	return n
}

// more waits until n further recipients are reached.
func (c *crew) more(n int) {
	c.t.Helper()
	target := c.delivered() + n
	stage.Eventually(c.t, func() string {
		if got := c.delivered(); got < target {
			return fmt.Sprintf("%d deliveries, want %d", got, target)
		}
		return ""
	})
}

// Workers join, leave and die under load, 1 → 3 → 2: nothing is lost, and
// nobody is called twice but for kills.
func TestRebalances(t *testing.T) {
	t.Parallel()
	r := chance(t)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 12, Timeout: timeout()})
	c := &crew{t: t, s: s, dir: t.TempDir(), env: map[string]string{
		"MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": strconv.Itoa(slots / 2), "MAX_ATTEMPTS": "100",
		"LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "6", "PROVIDER_TIMEOUT_SECONDS": "10",
	}}
	rounds := pick(1, 6)
	step := pick(400, 2000) // deliveries between two changes
	stopFeeding := feed(t, s, r)
	killed := map[int]bool{} // by number of the ledger
	first := c.hire()
	for range rounds {
		c.more(step)
		second := c.hire() // 1 → 2
		c.more(step)
		third := c.hire() // 2 → 3
		c.more(step)
		c.leave(second) // 3 → 2, clean
		c.more(step)
		fourth := c.hire()
		c.more(step)
		if r.IntN(2) == 0 {
			first, third = third, first
		}
		killed[c.numberOf(first)] = true
		first.Kill() // 3 → 2, dirty
		c.more(step)
		c.leave(third) // 2 → 1
		first = fourth
	}
	ids := stopFeeding()
	s.Committed()
	c.judge(ids, killed, s.Events(len(ids)))
}

// numberOf returns whose ledger is the worker's.
func (c *crew) numberOf(w *stage.Worker) int {
	for n, ledger := range c.ledgers {
		if w.Getenv("MOCK_LEDGER_FILE") == ledger {
			return n
		}
	}
	c.t.Fatal("a worker without ledger")
	return -1
}

func (c *crew) judge(ids map[string]bool, killed map[int]bool, histories map[string][]stage.Event) {
	c.t.Helper()
	var all []accepted
	owner := map[whom]int{}
	byKill := map[int]int{}
	clean := 0
	for n, ledger := range c.ledgers {
		list := readLedger(c.t, ledger)
		all = append(all, list...)
		for _, a := range list {
			key := whom{a.id, a.recipient}
			other, seen := owner[key]
			switch {
			case seen && (killed[other] || killed[n]):
				byKill[other]++
			case seen:
				clean++
			default:
				owner[key] = n
			}
		}
	}
	if lost := missing(all, ids, 1); lost > 0 {
		c.t.Errorf("%d messages were never delivered", lost)
	}
	checkHistories(c.t, histories, ids, all)
	var numbers []int
	for n := range killed {
		numbers = append(numbers, byKill[n])
		if byKill[n] > slots {
			c.t.Errorf("a kill had %d calls made twice, want at most %d", byKill[n], slots)
		}
	}
	if clean > 0 {
		c.t.Errorf("%d calls were made twice without a kill", clean)
	}
	c.t.Logf("%d messages, %d workers, %d kills; called twice at kills: %s; else %d",
		len(ids), len(c.ledgers), len(killed), distribution(numbers), clean)
}

// feed produces some 700 messages a second until it is stopped, of which one
// in fifty fails its first attempt. Stop returns their ids.
func feed(t *testing.T, s *stage.Stage, r *rand.Rand) (stop func() map[string]bool) {
	t.Helper()
	ids, done, fed := map[string]bool{}, make(chan struct{}), make(chan struct{})
	seed := r.Uint64()
	go func() {
		defer close(fed)
		r := rand.New(rand.NewPCG(seed, 0))
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for range 35 {
				id := stage.NewID()
				ids[id] = true
				s.Client.Produce(s.Ctx, &kgo.Record{
					Topic: s.Topic("request"), Key: []byte(id), Value: mixedRequest(s, id, r.IntN),
				}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("produce a request: %v", err)
					}
				})
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	end := sync.OnceFunc(func() {
		close(done)
		<-fed
		if err := s.Client.Flush(s.Ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end) // of a test that fails in the middle
	return func() map[string]bool {
		end()
		return ids
	}
}

// putMixed produces messages of which one in fifty fails its first attempt.
func putMixed(s *stage.Stage, n int, choose func(int) int) map[string]bool {
	ids := map[string]bool{}
	var records []*kgo.Record
	for range n {
		id := stage.NewID()
		ids[id] = true
		records = append(records, &kgo.Record{Key: []byte(id), Value: mixedRequest(s, id, choose)})
	}
	s.Produce(records...)
	return ids
}

func mixedRequest(s *stage.Stage, id string, choose func(int) int) []byte {
	if choose(50) == 0 {
		return stage.Request(s.Channel, id, stage.Hints("scenario", "transient", "scenario_failures", "1"))
	}
	return stage.Request(s.Channel, id, nil)
}
