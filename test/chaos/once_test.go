package chaos_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// onceSlots is the concurrency of the workers that commit before they call.
const onceSlots = 40

// once is the environment of a worker that commits before it calls.
func once(ledger string) map[string]string {
	return map[string]string{
		"COMMIT_ON_SUCCESS_ONLY": "false", "MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.02",
		"WORKER_CONCURRENCY": strconv.Itoa(onceSlots), "LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "10",
	}
}

// grow waits until the ledger has that many lines more.
func grow(t *testing.T, w *stage.Worker, ledger string, lines int) {
	t.Helper()
	target := stage.Lines(ledger) + lines
	stage.Eventually(t, func() string {
		if got := stage.Lines(ledger); got < target && w.Running() {
			return fmt.Sprintf("%d lines in the ledger, want %d", got, target)
		}
		return ""
	})
}

// At most once, over stops and rebalances: every message has an end, and
// nobody is called twice.
func TestAtMostOnceLosesNothingAtStops(t *testing.T) {
	t.Parallel()
	chance(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{}))
	ledger := filepath.Join(t.TempDir(), "ledger")
	messages, stops := pick(2500, 20_000), pick(4, 20)
	ids := putPairs(s, messages)
	for range stops {
		w := s.Work(once(ledger))
		grow(t, w, ledger, messages/(2*stops))
		w.Stop()
	}
	first := s.Work(once(ledger))
	s.Committed()
	maps.Copy(ids, putPairs(s, messages))
	grow(t, first, ledger, messages/10)
	second := s.Work(once(ledger)) // takes half of the partitions
	first.WaitLog("partitions revoked")
	first.Stop()
	s.Committed()
	second.Stop()
	endings(t, s, ledger, ids)
}

// putPairs produces messages of which some go to two recipients, one of whom
// may be open after the first attempt.
func putPairs(s *stage.Stage, n int) map[string]bool {
	return s.PutEach(n, func(i int) map[string]any {
		edits := map[string]any{}
		if i%20 == 0 {
			edits = stage.Hints("scenario", "transient", "scenario_failures", "1", "scenario_recipients", "1")
		}
		if i%20 <= 2 {
			edits["to"] = []string{"+15550000001", "+15550000002"}
		}
		return edits
	})
}

// endings checks that each message has one end, a dead letter where it failed,
// and that no recipient was called twice.
func endings(t *testing.T, s *stage.Stage, ledger string, ids map[string]bool) {
	t.Helper()
	if n := len(twice(readLedger(t, ledger), nil)); n > 0 {
		t.Errorf("%d calls were made twice", n)
	}
	events := s.SoFar()
	failed, none := map[string]bool{}, 0
	for id := range ids {
		finals := 0
		for _, e := range events[id] {
			if e.Final() {
				finals++
			}
			if e.EventType == models.EventFailed {
				failed[id] = true
			}
		}
		switch {
		case finals == 0:
			none++
		case finals > 1:
			t.Errorf("%s ends more than once: %s", id, stage.Sequence(events[id]))
		}
	}
	if none > 0 {
		t.Errorf("%d of %d messages have no end", none, len(ids))
	}
	letters := s.DeadLetters(len(failed))
	for id := range failed {
		if len(letters[id]) != 1 {
			t.Errorf("%s failed with %d dead letters, want 1", id, len(letters[id]))
		}
	}
	t.Logf("%d messages, %d without an end, %d given up by a stop", len(ids), none, len(failed))
}

// At most once, killed: nobody is called twice, and what is lost is bounded by
// what has a handler: the calls, the attempts ahead of them, and the messages
// that the commits of these have passed.
func TestAtMostOnceKills(t *testing.T) {
	t.Parallel()
	chance(t)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 6, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	messages, kills := pick(4000, 20_000), pick(3, 20)
	ids := s.PutMany(messages)
	env := once(ledger)
	env["KAFKA_GROUP_INSTANCE_ID"] = s.Name
	for range kills {
		w := s.Work(env)
		grow(t, w, ledger, messages/(kills+2))
		w.Kill()
	}
	last := s.Work(env)
	s.Committed()
	last.Stop()
	list := readLedger(t, ledger)
	if n := len(twice(list, nil)); n > 0 {
		t.Errorf("%d calls were made twice", n)
	}
	lost := missing(list, requests{}.add(ids), 1)
	if most := kills * (16 + 4*onceSlots); lost > most {
		t.Errorf("%d messages are lost, want at most %d", lost, most)
	}
	t.Logf("%d messages, %d kills, %d lost", messages, kills, lost)
}

// The group forgets a worker whose messages are committed: they are nobody
// else's, so they come to an end all the same.
func TestAtMostOnceForgotten(t *testing.T) {
	t.Parallel()
	broker := kafka.Embedded(t)
	s := stage.New(t, models.SMS, stage.Options{Brokers: broker.ListenAddrs(), Partitions: 2, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	env := once(ledger)
	maps.Copy(env, map[string]string{"BASE_BACKOFF_SECONDS": "600", "MAX_BACKOFF_SECONDS": "600", "PROVIDER_TIMEOUT_SECONDS": "60"})
	w := s.Work(env)
	w.WaitReady(http.StatusOK)
	waiting, calling := stage.NewID(), stage.NewID()
	s.Put(waiting, stage.Request(s.Channel, waiting, stage.Hints("scenario", "transient", "scenario_failures", "1")))
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"retry"`) })
	s.Put(calling, stage.Request(s.Channel, calling, stage.Hints("scenario_latency_ms", "8000")))
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool {
		return strings.Contains(string(r.Value), `"attempt"`) && strings.Contains(string(r.Value), calling)
	})
	forget(broker)
	w.WaitLog("partitions lost")
	events := s.Events(2)
	stage.CheckSequence(t, "the message that backed off", events[waiting], "queued 0, attempt 1, retry 1, failed 1")
	stage.CheckSequence(t, "the message under way", events[calling], "queued 0, attempt 1, sent 1")
	if n := len(s.DeadLetters(1)[waiting]); n != 1 {
		t.Errorf("%d dead letters of the message that backed off, want 1", n)
	}
	w.Stop()
}
