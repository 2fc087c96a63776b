package chaos_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// steady are the settings of workers that are not killed themselves.
func steady(ledger string) map[string]string {
	return map[string]string{
		"MOCK_LEDGER_FILE": ledger, "MOCK_LATENCY_SECONDS": "0.05", "WORKER_CONCURRENCY": strconv.Itoa(slots),
		"MAX_ATTEMPTS": "100", "LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "10", "PROVIDER_TIMEOUT_SECONDS": "10",
		// The race detector makes a hundred thousand small lz4 batches take minutes.
		"KAFKA_COMPRESSION": "snappy",
	}
}

// untouched checks that nothing was lost, failed or called twice, and that the
// worker is still there and ends as it should.
func untouched(t *testing.T, s *stage.Stage, w *stage.Worker, ledger string, ids requests) {
	t.Helper()
	s.Committed()
	list := readLedger(t, ledger)
	lost := missing(list, ids, 1)
	if lost > 0 {
		t.Errorf("%d messages were never delivered", lost)
	}
	again := len(twice(list, ids))
	if again > 0 {
		t.Errorf("%d calls were made twice", again)
	}
	checkHistories(t, s, ids, list)
	if !w.Running() {
		t.Error("the worker has ended")
	}
	w.WaitReady(http.StatusOK)
	w.Stop()
	t.Logf("%d messages, %d lost, %d called twice", ids.count(), lost, again)
}

// One node of three dies and comes back, then all are away for ten seconds. What
// is paused stays so all along, and for a worker that starts afterwards.
func TestClusterFails(t *testing.T) {
	t.Parallel()
	c := kafka.Start(t, kafka.Options{Nodes: 3, Properties: map[string]string{"min.insync.replicas": "2"}})
	if !c.Controllable() {
		t.Skip("a cluster that was given is not stopped")
	}
	r := chance(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{Brokers: c.Brokers(), Replication: 3, Control: true}))
	held := models.Order{Action: models.ActionPause, Tenant: heldTenant}
	s.Give(held, time.Hour)
	ids := putTwins(t, s, pick(400, 2000), func(int) map[string]any { return mixed(r.IntN) })
	waiting := s.PutEach(30, func(int) map[string]any { return map[string]any{"tenant_id": heldTenant} })
	ledger := filepath.Join(t.TempDir(), "ledger")
	w := s.Work(steady(ledger))
	w.WaitReady(http.StatusOK)
	stopFeeding := feed(t, s, r)
	flows := func() { // traffic goes on
		t.Helper()
		delivers(t, w, ledger, stage.Lines(ledger))
	}
	flows()
	for range pick(1, 3) {
		node := r.IntN(3)
		check(t, c.Kill(node))
		flows()
		check(t, c.Start(node))
		check(t, c.Wait(s.Ctx, 3))
		flows()
	}
	ids.add(stopFeeding())
	stopFeeding = feed(t, s, r)
	for node := range 3 {
		check(t, c.Kill(node))
	}
	w.WaitReady(http.StatusServiceUnavailable)
	time.Sleep(10 * time.Second) // the outage itself
	for node := range 3 {
		check(t, c.Start(node))
	}
	check(t, c.Wait(s.Ctx, 3))
	w.WaitReady(http.StatusOK)
	flows()
	w.Stop()
	w = s.Work(steady(ledger))
	w.WaitReady(http.StatusOK)
	flows()
	for _, a := range readLedger(t, ledger) {
		if waiting[a.id] {
			t.Errorf("%s was called though it was paused", a.id)
		}
	}
	s.Lift(held)
	untouched(t, s, w, ledger, ids.add(stopFeeding()).add(waiting))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A broker that takes no events for a while, for want of disk, of replicas or
// of permission: messages wait, none fails, none is called twice.
func TestProduceRefused(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]*kerr.Error{
		"full disk": kerr.KafkaStorageError, "too few replicas": kerr.NotEnoughReplicas,
		"no permission": kerr.TopicAuthorizationFailed, "a policy": kerr.PolicyViolation,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, refusal)
		})
	}
}

func refused(t *testing.T, refusal *kerr.Error) {
	t.Helper()
	r := chance(t)
	broker := kafka.Embedded(t)
	s := stage.New(t, models.SMS, stage.Options{Brokers: broker.ListenAddrs(), Partitions: 4, Timeout: timeout()})
	ledger := filepath.Join(t.TempDir(), "ledger")
	w := s.Work(steady(ledger))
	w.WaitReady(http.StatusOK)
	ids := requests{}.add(putMixed(s, pick(1000, 5000), r.IntN))
	for range pick(1, 5) {
		delivers(t, w, ledger, stage.Lines(ledger))
		ctx, end := context.WithCancel(s.Ctx)
		refuse(ctx, broker, s.Topic("status"), refusal)
		time.Sleep(2 * time.Second) // the outage itself
		end()
	}
	untouched(t, s, w, ledger, ids)
}

// The group of a lane forgets the worker while outcomes wait for the broker, as
// after an outage of all of it. The worker gets its partitions back, and reads
// their journal only once what it had to say is written there.
func TestForgottenWithOutcomesUnderWay(t *testing.T) {
	t.Parallel()
	r := chance(t)
	broker := kafka.Embedded(t)
	s := stage.New(t, models.SMS, allLanes(stage.Options{Brokers: broker.ListenAddrs()}))
	ledger := filepath.Join(t.TempDir(), "ledger")
	w := s.Work(steady(ledger))
	w.WaitReady(http.StatusOK)
	ids := putTwins(t, s, pick(100, 500), func(int) map[string]any { return mixed(r.IntN) })
	ids.add(putMixed(s, pick(700, 3500), r.IntN))
	for range pick(1, 5) {
		delivers(t, w, ledger, stage.Lines(ledger))
		ctx, end := context.WithCancel(s.Ctx)
		refuse(ctx, broker, s.Topic("status"), kerr.NotEnoughReplicas)
		lost := strings.Count(w.Logs(), "partitions lost")
		forget(broker)
		stage.Eventually(t, func() string {
			if strings.Count(w.Logs(), "partitions lost") == lost {
				return "the worker has not noticed that it was forgotten"
			}
			return ""
		})
		time.Sleep(2 * time.Second) // time to read a journal that lacks the outcomes
		end()
	}
	untouched(t, s, w, ledger, ids)
}

// forget answers the next heartbeat as a group does that has lost its members.
func forget(broker *kfake.Cluster) {
	broker.ControlKey(int16(kmsg.Heartbeat), func(request kmsg.Request) (kmsg.Response, error, bool) {
		resp, ok := request.ResponseKind().(*kmsg.HeartbeatResponse)
		if !ok {
			return nil, nil, false
		}
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
}

// refuse answers each produce request to the topic with the refusal until ctx
// ends. Other requests go through.
func refuse(ctx context.Context, broker *kfake.Cluster, topic string, refusal *kerr.Error) {
	broker.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		select {
		case <-ctx.Done():
			broker.DropControl()
			return nil, nil, false
		default:
		}
		broker.KeepControl()
		req, ok := request.(*kmsg.ProduceRequest)
		if !ok {
			return nil, nil, false
		}
		info := broker.TopicInfo(topic)
		if info == nil {
			return nil, nil, false
		}
		for _, in := range req.Topics {
			if in.Topic != topic && in.TopicID != info.TopicID {
				return nil, nil, false
			}
		}
		return kafka.Refuse(req, refusal.Code), nil, true
	})
}

// delivers waits for the first line after those before.
func delivers(t *testing.T, w *stage.Worker, ledger string, before int) {
	t.Helper()
	stage.Eventually(t, func() string {
		if !w.Running() {
			t.Fatal("the worker has ended by itself")
		}
		if stage.Lines(ledger) == before {
			return "nothing is delivered"
		}
		return ""
	})
}
