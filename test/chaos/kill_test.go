package chaos_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// slots is the workers' concurrency.
const slots = 100

// atMost is how many calls a kill may make twice: those under way or not
// acknowledged, and as many as may be ahead of them.
const atMost = 2 * slots

// killing is a workload that is killed again and again.
type killing struct {
	stage      stage.Options
	messages   int
	recipients int
	pinned     int // of a hundred: how many back off for long after their first attempt
	kills      int
	dynamic    int // of a hundred: kills of a worker without an instance id
	extra      map[string]string
}

// Kill after kill at random moments. Nothing is lost, what is repeated is
// bounded by what was under way, and attempts spent stay spent.
func TestKills(t *testing.T) {
	t.Parallel()
	one := stage.Options{Partitions: 12, Timeout: timeout()}
	for name, k := range map[string]killing{
		"plain":                  {stage: one, messages: pick(4000, 20_000), recipients: 1, kills: pick(5, 55), dynamic: pick(0, 10)},
		"lanes of long backoffs": {stage: allLanes(one), messages: pick(3000, 20_000), recipients: 1, pinned: 1, kills: pick(4, 30)},
		"ten recipients":         {stage: one, messages: pick(300, 2000), recipients: 10, kills: pick(5, 30)},
		"no instance id":         {stage: one, messages: pick(1500, 4000), recipients: 1, kills: pick(1, 5), dynamic: 100},
	} {
		t.Run(name, func(t *testing.T) {
			if !long() {
				t.Parallel()
			}
			k.run(t)
		})
	}
}

// life is one worker from its start to its kill.
type life struct {
	started time.Time
	static  bool
	lines   int // of the ledger at its kill
}

func (k killing) run(t *testing.T) {
	t.Helper()
	r := chance(t)
	s := stage.New(t, models.SMS, k.stage)
	ledger := filepath.Join(t.TempDir(), "ledger")
	ids := k.fill(t, s, r)
	lives := k.again(t, s, r, ledger)
	lives = append(lives, k.last(s, ledger))
	s.Committed()
	k.judge(t, s, ledger, ids, lives)
}

// again starts workers and kills them, until it was done often enough or
// nothing is left to do.
func (k killing) again(t *testing.T, s *stage.Stage, r *rand.Rand, ledger string) []life {
	t.Helper()
	total := k.messages * k.recipients
	var lives []life
	for len(lives) < k.kills {
		before := stage.Lines(ledger)
		if before >= total {
			break // nothing is left to be killed at
		}
		l := life{static: r.IntN(100) >= k.dynamic, started: time.Now()}
		w := s.Work(k.settings(s, ledger, l.static))
		if r.IntN(5) == 0 { // in the middle of the start or of the recovery
			time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		} else {
			target := min(before+1+r.IntN(2*total/(k.kills+1)), max(total*9/10, before+1))
			stage.Eventually(t, func() string {
				if got := stage.Lines(ledger); got < target && w.Running() {
					return fmt.Sprintf("%d lines in the ledger, want %d", got, target)
				}
				return ""
			})
		}
		w.Kill()
		l.lines = stage.Lines(ledger)
		lives = append(lives, l)
	}
	return lives
}

// last starts a worker that is not killed.
func (k killing) last(s *stage.Stage, ledger string) life {
	l := life{static: k.dynamic < 100, started: time.Now(), lines: math.MaxInt}
	s.Work(k.settings(s, ledger, l.static))
	return l
}

func (k killing) settings(s *stage.Stage, ledger string, static bool) map[string]string {
	env := map[string]string{
		"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": strconv.Itoa(slots),
		"MAX_ATTEMPTS": "100", "LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "10", "PROVIDER_TIMEOUT_SECONDS": "30",
	}
	if static {
		env["KAFKA_GROUP_INSTANCE_ID"] = s.Name
	}
	maps.Copy(env, k.extra)
	return env
}

// fill produces the requests, a quarter of them as twins where there are lanes.
func (k killing) fill(t *testing.T, s *stage.Stage, r *rand.Rand) requests {
	t.Helper()
	to := make([]string, k.recipients)
	for i := range to {
		to[i] = fmt.Sprintf("+1555000%04d", i)
	}
	edit := func(int) map[string]any {
		edits := map[string]any{}
		switch {
		case r.IntN(100) < k.pinned:
			edits = stage.Hints("scenario", "rate_limited", "scenario_failures", "1", "scenario_retry_after_ms", strconv.Itoa(pick(10, 60)*1000))
		case k.recipients > 1 && r.IntN(4) == 0: // two of them stay open after the first round
			edits = stage.Hints("scenario", "transient", "scenario_failures", "1", "scenario_recipients", "2,7")
		case len(s.Lanes) > 1 && r.IntN(20) == 0:
			edits = stage.Hints("scenario", "transient", "scenario_failures", "2")
		}
		edits["to"] = to
		return edits
	}
	ids := requests{}
	if n := len(s.Lanes); n > 1 {
		ids = putTwins(t, s, k.messages/4/n, edit)
	}
	return ids.add(s.PutEach(k.messages-ids.count(), edit))
}

// judge counts: what is missing, what was repeated and by which kill, and
// whether the histories hold together. The last life was not killed.
func (k killing) judge(t *testing.T, s *stage.Stage, ledger string, ids requests, lives []life) {
	t.Helper()
	list := readLedger(t, ledger)
	lost := missing(list, ids, k.recipients)
	if lost > 0 {
		t.Errorf("%d recipients were never reached", lost)
	}
	checkHistories(t, s, ids, list)
	kills := len(lives) - 1
	byKill := make([]int, kills)
	for _, first := range twice(list, ids) {
		n := slices.IndexFunc(lives, func(l life) bool { return first < l.lines }) // whose kill took its outcome along
		if n == kills {
			t.Errorf("%s was called twice without a kill in between", list[first].id)
			continue
		}
		byKill[n]++
	}
	t.Logf("%d messages to %d recipients each, %d kills, %d lost; called twice: %s",
		ids.count(), k.recipients, kills, lost, distribution(byKill))
	t.Logf("from a kill and a start to the next delivery: with instance id %s, without %s",
		restarts(list, lives, true), restarts(list, lives, false))
	for n, repeated := range byKill {
		if repeated > atMost {
			t.Errorf("kill %d had %d calls made twice, want at most %d", n, repeated, atMost)
		}
	}
}

// restarts describes how long the workers that followed on a kill took until
// they delivered: static for those before which no worker without instance id
// was killed, for which the group would wait.
func restarts(list []accepted, lives []life, static bool) string {
	var took []time.Duration
	waits := false // for a worker without an instance id
	for n := 1; n < len(lives); n++ {
		from, delivers := lives[n-1].lines, lives[n].lines > lives[n-1].lines
		waits = waits || !lives[n-1].static
		quick := lives[n].static && !waits
		if quick == static && delivers && from < len(list) {
			took = append(took, list[from].at.Sub(lives[n].started))
		}
		waits = waits && !delivers // who delivers has been waited for
	}
	if len(took) == 0 {
		return "not seen"
	}
	slices.Sort(took)
	return fmt.Sprintf("median %v, longest %v of %d", took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
}
