package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// operator writes orders for the workers of one stage.
type operator struct {
	*stage.Stage

	t     *testing.T
	topic string
}

// newOperator names the control topic, and makes it.
func newOperator(t *testing.T, s *stage.Stage) *operator {
	t.Helper()
	s.CreateControl(1)
	return &operator{s, t, s.Topic("control")}
}

// work starts a worker that obeys, with a ledger.
func (o *operator) work(ledger string, pairs ...string) *stage.Worker {
	o.t.Helper()
	env := map[string]string{"KAFKA_CONTROL_TOPIC": o.topic, "MOCK_LEDGER_FILE": ledger}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return o.Work(env)
}

// shows waits until a worker is ready and shows that it obeys orders of these
// scopes, and no others.
func (o *operator) shows(w *stage.Worker, scopes ...string) {
	o.t.Helper()
	slices.Sort(scopes)
	stage.Eventually(o.t, func() string {
		var ready struct {
			Checks map[string]struct {
				Status string
				Orders []struct {
					Action, Scope, Reason string
					Until                 time.Time
				}
			}
		}
		code, body := w.Get("/healthz/ready")
		if err := json.Unmarshal([]byte(body), &ready); err != nil || code != http.StatusOK || ready.Checks["control"].Orders == nil {
			return fmt.Sprint(code, " ", body, ": want ready with orders")
		}
		var got []string
		for _, order := range ready.Checks["control"].Orders {
			got = append(got, order.Action+"/"+order.Scope)
			if order.Reason != "a test" || order.Until.IsZero() {
				return fmt.Sprint(body, ": want reason and time")
			}
		}
		if slices.Sort(got); !slices.Equal(got, scopes) {
			return fmt.Sprintf("in force are %q, want %q", got, scopes)
		}
		return ""
	})
}

// Orders about a lane, a tenant, an entry of meta and a message: each stops what
// is of its scope, and nothing else. What is paused goes on where the order is
// lifted or ends; what is canceled ends.
func TestOrders(t *testing.T) {
	t.Parallel()
	const each = 10
	s := stage.New(t, models.SMS, stage.Options{High: 2, Partitions: 2})
	o, ledger := newOperator(t, s), filepath.Join(t.TempDir(), "ledger")
	lane := models.Order{Action: models.ActionPause, Lane: models.LaneHigh}
	tenant := models.Order{Action: models.ActionPause, Tenant: "acme"}
	campaign := models.Order{Action: models.ActionPause, Meta: map[string]string{"campaign": "blue"}}
	one := models.Order{Action: models.ActionCancel, MessageID: stage.NewID()}
	o.Give(lane, time.Hour)
	o.Give(tenant, time.Hour)
	o.Give(campaign, time.Hour)
	o.Give(one, 24*time.Hour) // its message comes later
	s.Produce(
		&kgo.Record{Topic: o.topic, Key: []byte("pause/sms"), Value: []byte(`{"action":"pause","channel":"sms","country":"DE"}`)},
		&kgo.Record{Topic: o.topic, Key: []byte("pause/email"), Value: []byte("no JSON")},
	)
	w := o.work(ledger, "PPROF_ENABLED", "true")
	o.shows(w, "pause/sms/lane/high", "pause/sms/tenant/acme", "pause/sms/meta/campaign=blue", "cancel/message/"+one.MessageID)

	s.Put(one.MessageID, stage.Request(s.Channel, one.MessageID, nil))
	free := putInto(s, models.LaneNormal, each, 2, map[string]any{"tenant_id": "other", "meta": map[string]string{"campaign": "red"}})
	high := putInto(s, models.LaneHigh, each, 2, nil)
	acme := putInto(s, models.LaneNormal, each, 2, map[string]any{"tenant_id": "acme"})
	blue := putInto(s, models.LaneNormal, each, 2, map[string]any{"meta": map[string]string{"campaign": "blue"}})
	ended := func(finals int, want string, groups ...[]string) {
		t.Helper()
		events := s.Events(finals)
		for _, id := range slices.Concat(groups...) {
			stage.CheckSequence(t, id, events[id], want)
		}
	}
	ended(each+1, "queued 0, attempt 1, sent 1", free)
	canceled := s.Events(each + 1)[one.MessageID]
	stage.CheckSequence(t, "the canceled message", canceled, "queued 0, canceled 0")
	if last := canceled[len(canceled)-1]; last.Error != "canceled: a test" {
		t.Errorf("canceled for %q, want its reason", last.Error)
	}
	stage.Eventually(t, func() string {
		var report struct{ Messages []struct{ Stage string } }
		answer := debugAnswer(t, w, "/debug/pending")
		if err := json.Unmarshal([]byte(answer), &report); err != nil || len(report.Messages) != 3*each || strings.Contains(answer, "waiting") {
			return fmt.Sprintf("at work are %s, want %d messages that are paused", answer, 3*each)
		}
		return ""
	})
	got := metrics(t, w)
	for name, want := range map[string]float64{"messaging_paused": 3, "messaging_control_errors_total": 2} {
		if v := got[name+`{channel="sms"}`]; v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	if age, there := got[`messaging_control_age_seconds{channel="sms"}`]; !there || age < 0 {
		t.Errorf("the age of orders is %v (there: %t)", age, there)
	}
	if n := stage.Lines(ledger); n != each {
		t.Errorf("%d calls, want those of %d messages", n, each)
	}

	o.Lift(lane)
	ended(2*each+1, "queued 0, attempt 1, sent 1", high)
	cancel := campaign
	cancel.Action = models.ActionCancel
	o.Give(cancel, time.Hour)
	ended(3*each+1, "queued 0, canceled 0", blue)
	o.Give(tenant, time.Second) // the later counts, and ends by itself
	ended(4*each+1, "queued 0, attempt 1, sent 1", acme)
	o.shows(w, "pause/sms/meta/campaign=blue", "cancel/sms/meta/campaign=blue", "cancel/message/"+one.MessageID)
	stage.DeliveredOnce(t, ledger, set(slices.Concat(free, high, acme)))
	if got := metrics(t, w)[`messaging_messages_total{channel="sms",failure_type="",lane="normal",outcome="canceled"}`]; got != each+1 {
		t.Errorf("%v messages counted as canceled, want %d", got, each+1)
	}
	for _, text := range []string{`"order":"given","action":"pause","scope":"sms/lane/high"`, `"order":"lifted","action":"pause","scope":"sms/lane/high"`, `"order":"expired","action":"pause","scope":"sms/tenant/acme"`} {
		w.WaitLog(text)
	}
	s.Committed()
	w.Stop()
}

func set(ids []string) map[string]bool {
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	return all
}

// A pause in the middle of traffic stops every worker, one that starts meanwhile
// included. Nothing is lost by it, or sent twice.
func TestPauseStopsAllWorkers(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 6})
	o, ledger := newOperator(t, s), filepath.Join(t.TempDir(), "ledger")
	var workers []*stage.Worker
	start := func() { workers = append(workers, o.work(ledger, "MOCK_LATENCY_SECONDS", "0.02", "LOG_LEVEL", "info")) }
	start()
	start()
	pause := models.Order{Action: models.ActionPause}
	ids := map[string]bool{}
	for range 3 {
		for id := range s.PutMany(3000) {
			ids[id] = true
		}
		grown := stage.Lines(ledger) + 200
		stage.Eventually(t, func() string { return atLeast(ledger, grown) })
		o.Give(pause, time.Hour)
		if len(workers) < 3 {
			start()
		}
		for _, w := range workers {
			o.shows(w, "pause/sms")
		}
		time.Sleep(200 * time.Millisecond) // calls under way end
		before := stage.Lines(ledger)
		time.Sleep(time.Second)
		if after := stage.Lines(ledger); after != before {
			t.Errorf("%d calls ended while all was paused", after-before)
		}
		o.Lift(pause)
	}
	events := s.Events(len(ids))
	taken := 0
	for id := range ids {
		taken += strings.Count(stage.Sequence(events[id]), "retry 1, attempt 1")
		if last := events[id][len(events[id])-1]; last.EventType != models.EventSent || last.Attempt != 1 {
			t.Errorf("%s: %s, want sent by its first attempt", id, stage.Sequence(events[id]))
		}
	}
	t.Logf("%d attempts were taken back", taken)
	stage.DeliveredOnce(t, ledger, ids)
	s.Committed()
	for _, w := range workers {
		w.Stop()
	}
}

func atLeast(ledger string, lines int) string {
	if n := stage.Lines(ledger); n < lines {
		return fmt.Sprintf("the ledger has %d lines, want %d", n, lines)
	}
	return ""
}

// Two thousand messages, each canceled at some moment of its life: it ends as
// canceled or was called, never both, and never neither.
func TestCancelAtAnyMoment(t *testing.T) {
	t.Parallel()
	const messages = 2000
	for _, atMostOnce := range []bool{false, true} {
		t.Run(fmt.Sprintf("at most once %t", atMostOnce), func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, models.SMS, stage.Options{Partitions: 4})
			o, ledger := newOperator(t, s), filepath.Join(t.TempDir(), "ledger")
			workers := []*stage.Worker{}
			for range 2 {
				w := o.work(
					ledger, "MOCK_LATENCY_SECONDS", "0.01", "WORKER_CONCURRENCY", "5", "LOG_LEVEL", "info",
					"COMMIT_ON_SUCCESS_ONLY", strconv.FormatBool(!atMostOnce), "COMMIT_INTERVAL_SECONDS", "0.1",
				)
				w.WaitReady(http.StatusOK)
				workers = append(workers, w)
			}
			ids := make([]string, 0, messages)
			for range messages {
				ids = append(ids, stage.NewID())
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for _, id := range ids {
					s.Put(id, stage.Request(s.Channel, id, nil))
				}
			})
			wg.Go(func() {
				for i := range ids { // some of them twice, and some not at all
					at := min(messages-1, max(0, i+rand.IntN(400)-200))
					o.Give(models.Order{Action: models.ActionCancel, MessageID: ids[at]}, time.Hour)
				}
			})
			wg.Wait()
			events := s.Events(messages)
			called, ends := stage.LedgerIDs(t, ledger), map[models.EventType]int{}
			for _, id := range ids {
				last := events[id][len(events[id])-1]
				ends[last.EventType]++
				if want := map[models.EventType]int{models.EventSent: 1}[last.EventType]; called[id] != want {
					t.Errorf("%s: %s with %d calls", id, stage.Sequence(events[id]), called[id])
				}
			}
			t.Logf("ended: %v", ends)
			if ends[models.EventSent] == 0 || ends[models.EventCanceled] == 0 || ends[models.EventSent]+ends[models.EventCanceled] != messages {
				t.Errorf("ended: %v, want some sent, some canceled and no others", ends)
			}
			for _, w := range workers {
				w.Stop()
			}
		})
	}
}

// Without the control topic no worker begins, and says so; it is not taken for
// dead. Later the last orders hold, whatever becomes of the topic.
func TestControlTopicIsMissing(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	o, ledger := &operator{s, t, s.Topic("control")}, filepath.Join(t.TempDir(), "ledger")
	first := s.PutMany(5)
	w := o.work(ledger)
	stage.Eventually(t, func() string {
		code, body := w.Get("/healthz/ready")
		if want := `"control":{"status":"unavailable","error":"topic ` + o.topic + ` does not exist"}`; code != http.StatusServiceUnavailable || !strings.Contains(body, want) {
			return fmt.Sprintf("ready is %d %s, want 503 with %s", code, body, want)
		}
		return ""
	})
	w.WaitLog("topic " + o.topic + " does not exist")
	time.Sleep(5 * time.Second) // in which it would join its group
	if code, body := w.Get("/healthz/live"); code != http.StatusOK || stage.Lines(ledger) > 0 {
		t.Errorf("live is %d %s with %d calls, want 200 and none", code, body, stage.Lines(ledger))
	}
	o.CreateControl(1)
	s.Events(len(first))
	tenant := models.Order{Action: models.ActionPause, Tenant: "acme"}
	o.Give(tenant, time.Hour)
	o.shows(w, "pause/sms/tenant/acme")

	if _, err := s.Admin.DeleteTopic(s.Ctx, o.topic); err != nil {
		t.Fatal(err)
	}
	w.WaitLog("a topic that is followed is not read at present")
	paused := putInto(s, models.LaneNormal, 5, 1, map[string]any{"tenant_id": "acme"})
	second := s.PutMany(5)
	s.Events(len(first) + len(second))
	o.shows(w, "pause/sms/tenant/acme")
	o.CreateControl(1)
	o.shows(w) // created again, it has no orders
	s.Events(len(first) + len(second) + len(paused))
	if n := stage.Lines(ledger); n != 15 {
		t.Errorf("%d calls, want 15", n)
	}
	w.Stop()
}

// A stop ends a worker that waits for its orders.
func TestStopWithoutOrders(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	w := s.Work(map[string]string{"KAFKA_CONTROL_TOPIC": s.Topic("control")})
	w.WaitReady(http.StatusServiceUnavailable)
	w.Stop()
}

// An order's rate holds for all workers of all lanes together, for as long as it
// is in force.
func TestRateOrder(t *testing.T) {
	t.Parallel()
	const messages, perSecond = 120, 20
	s := stage.New(t, models.SMS, stage.Options{High: 2, Partitions: 2})
	o, ledger := newOperator(t, s), filepath.Join(t.TempDir(), "ledger")
	rate := models.Order{Action: models.ActionRate, Provider: "mock", PerSecond: perSecond}
	o.Give(models.Order{Action: models.ActionRate, PerSecond: 1}, time.Hour) // the provider's wins
	o.Give(rate, time.Hour)
	for range 2 {
		w := o.work(ledger)
		o.shows(w, "rate/sms", "rate/sms/provider/mock")
	}
	begun := time.Now()
	ids := s.PutMany(messages)
	s.Events(len(ids))
	if took := time.Since(begun); took < time.Second*(messages-perSecond)/perSecond {
		t.Errorf("%d messages took %v at %d a second", messages, took, perSecond)
	}
	stage.DeliveredOnce(t, ledger, ids)
}
