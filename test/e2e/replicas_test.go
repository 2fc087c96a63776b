package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/models"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

// Status and dead letter topics below min.insync.replicas: nothing is lost,
// readiness and the log name topic and reason, the log once, and it is over
// when the replica is back.
func TestTooFewReplicas(t *testing.T) {
	t.Parallel()
	c := kafka.Start(t, kafka.Options{Nodes: 3})
	if !c.Controllable() {
		t.Skip("a cluster that was given is not stopped")
	}
	s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), NoTopics: true})
	replicated(t, s, "request", 1, []int32{1, 2, 3})
	replicated(t, s, "status", 2, []int32{1, 2})
	replicated(t, s, "dlq", 2, []int32{1, 2})
	// However busy the machine is, the worker keeps its partition: the journal of
	// one that it was assigned again could not be read before the replica is back.
	w := s.Work(map[string]string{"LOG_LEVEL": "info", "KAFKA_SESSION_TIMEOUT_SECONDS": "60"})
	w.WaitReady(http.StatusOK)
	ids := s.PutMany(10)
	s.Events(10)

	victim := other(t, s)
	if err := c.Kill(victim); err != nil {
		t.Fatal(err)
	}
	for id := range s.PutMany(10) {
		ids[id] = true
	}
	refused := fmt.Sprintf("topic %s does not acknowledge records within 10s: NOT_ENOUGH_REPLICAS", s.Topic("status"))
	stage.Eventually(t, func() string {
		if code, body := w.Get("/healthz/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, refused) {
			return fmt.Sprintf("ready is %d %s, want 503 with %s", code, body, refused)
		}
		return ""
	})
	bad := stage.NewID()
	s.Put(bad, []byte(`{"message_id":"`+bad+`"}`)) // its dead letter waits likewise
	stage.Eventually(t, func() string {
		if _, body := w.Get("/healthz/ready"); !strings.Contains(body, s.Topic("dlq")+" does not acknowledge") {
			return "ready does not name the dead letter topic: " + body
		}
		return ""
	})
	if n := strings.Count(w.Logs(), refused); n < 1 || n > 2 { // once alone, and once with the other topic
		t.Errorf("the log names the topic %d times, want once or twice", n)
	}
	if err := c.Start(victim); err != nil {
		t.Fatal(err)
	}
	w.WaitReady(http.StatusOK)
	s.Events(len(ids) + 1)
	if lines := strings.Split(strings.TrimSpace(w.Logs()), "\n"); !strings.Contains(strings.Join(lines[max(0, len(lines)-20):], "\n"), `"message":"ready"`) {
		t.Error("the log does not say that it is over")
	}
}

// other returns the first two nodes' one that does not coordinate the group, from
// 0: the worker is to keep its partitions.
func other(t *testing.T, s *stage.Stage) int {
	t.Helper()
	coordinators := s.Admin.FindGroupCoordinators(s.Ctx, s.Group())
	if err := coordinators.Error(); err != nil {
		t.Fatal(err)
	}
	if coordinators[s.Group()].NodeID == 1 {
		return 1
	}
	return 0
}

// replicated creates a topic with one partition on certain nodes.
func replicated(t *testing.T, s *stage.Stage, kind string, minISR int, nodes []int32) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = s.Topic(kind), -1, -1
	topic.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: nodes}}
	topic.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "min.insync.replicas", Value: new(strconv.Itoa(minISR))}}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), 60_000
	resp, err := req.RequestWith(s.Ctx, s.Client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
