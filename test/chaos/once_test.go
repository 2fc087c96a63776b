package chaos_test

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
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

// leave stops a worker as a roll-out does.
func leave(t *testing.T, w *stage.Worker) {
	t.Helper()
	w.Signal(syscall.SIGTERM)
	if code := w.Exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// At most once, over stops and rebalances: every message has an end, and
// nobody is called twice.
func TestAtMostOnceLosesNothingAtStops(t *testing.T) {
	t.Parallel()
	chance(t)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 6, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	messages, stops := pick(2500, 20_000), pick(4, 20)
	ids := putPairs(s, messages)
	for range stops {
		w := s.Work(once(ledger))
		grow(t, w, ledger, messages/(2*stops))
		leave(t, w)
	}
	first := s.Work(once(ledger))
	s.Committed()
	maps.Copy(ids, putPairs(s, messages))
	grow(t, first, ledger, messages/10)
	second := s.Work(once(ledger)) // takes half of the partitions
	stage.Eventually(t, func() string {
		if !strings.Contains(first.Logs(), "partitions revoked") {
			return "there was no rebalance"
		}
		return ""
	})
	leave(t, first)
	s.Committed()
	leave(t, second)
	endings(t, s, ledger, ids)
}

// putPairs produces messages of which some go to two recipients, one of whom
// may be open after the first attempt.
func putPairs(s *stage.Stage, n int) map[string]bool {
	ids := map[string]bool{}
	var records []*kgo.Record
	for i := range n {
		id := stage.NewID()
		ids[id] = true
		edits := map[string]any{}
		if i%20 == 0 {
			edits = stage.Hints("scenario", "transient", "scenario_failures", "1", "scenario_recipients", "1")
		}
		if i%20 <= 2 {
			edits["to"] = []string{"+15550000001", "+15550000002"}
		}
		records = append(records, &kgo.Record{Key: []byte(id), Value: stage.Request(s.Channel, id, edits)})
	}
	s.Produce(records...)
	return ids
}

// endings checks that each message has one end, a dead letter where it failed,
// and that no recipient was called twice.
func endings(t *testing.T, s *stage.Stage, ledger string, ids map[string]bool) {
	t.Helper()
	if n := len(twice(readLedger(t, ledger))); n > 0 {
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
	letters := s.Letters(len(failed))
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
	leave(t, last)
	list := readLedger(t, ledger)
	if n := len(twice(list)); n > 0 {
		t.Errorf("%d calls were made twice", n)
	}
	lost := missing(list, ids, 1)
	if most := kills * (16 + 4*onceSlots); lost > most {
		t.Errorf("%d messages are lost, want at most %d", lost, most)
	}
	t.Logf("%d messages, %d kills, %d lost", messages, kills, lost)
}

// The group forgets a worker whose messages are committed: they are nobody
// else's, so they come to an end all the same.
func TestAtMostOnceForgotten(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	check(t, err)
	defer broker.Close()
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
	stage.Eventually(t, func() string {
		if !strings.Contains(w.Logs(), "partitions lost") {
			return "the worker has not noticed that it was forgotten"
		}
		return ""
	})
	events := s.Events(2)
	if got, want := stage.Sequence(events[waiting]), "queued 0, attempt 1, retry 1, failed 1"; got != want {
		t.Errorf("the message that backed off: %s, want %s", got, want)
	}
	if got, want := stage.Sequence(events[calling]), "queued 0, attempt 1, sent 1"; got != want {
		t.Errorf("the message under way: %s, want %s", got, want)
	}
	if n := len(s.Letters(1)[waiting]); n != 1 {
		t.Errorf("%d dead letters of the message that backed off, want 1", n)
	}
	leave(t, w)
}
