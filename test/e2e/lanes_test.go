package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/test/stage"
)

// putInto produces n requests to a lane, to its first partitions in turn, and
// returns their ids.
func putInto(s *stage.Stage, l models.Lane, n int, partitions int32, edits map[string]any) []string {
	var ids []string
	var records []*kgo.Record
	for i := range n {
		id := stage.NewID()
		ids = append(ids, id)
		records = append(records, &kgo.Record{Topic: s.RequestTopic(l), Partition: int32(i) % partitions, Value: stage.Request(s.Channel, id, edits)})
	}
	s.Produce(records...)
	return ids
}

// A channel with three lanes is three request topics with groups, limits and
// metrics of their own, whose events share a topic.
func TestLanes(t *testing.T) {
	t.Parallel()
	const good = 6
	s := stage.New(t, models.SMS, stage.Options{High: 2, Partitions: 4, Bulk: 5, StatusPartitions: 3})
	partitions := map[models.Lane]int32{models.LaneHigh: 2, models.LaneNormal: 4, models.LaneBulk: 5}
	attempts := map[models.Lane]string{
		models.LaneHigh:   "queued 0, attempt 1, failed 1",
		models.LaneNormal: "queued 0, attempt 1, retry 1, attempt 2, failed 2",
		models.LaneBulk:   "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, failed 3",
	}
	w := s.Work(map[string]string{
		"MAX_ATTEMPTS": "2", "SMS_HIGH_MAX_ATTEMPTS": "1", "BULK_MAX_ATTEMPTS": "3", "BREAKER_FAILURES": "0",
		"HIGH_MAX_BACKOFF_SECONDS": "60", "KAFKA_CLIENT_ID": "the-client",
	})
	w.WaitReady(http.StatusOK)
	from := map[string]models.Lane{} // by message id
	for l, n := range partitions {
		for _, id := range slices.Concat(putInto(s, l, good, n, nil), putInto(s, l, 1, n, stage.Hints("scenario", "transient"))) {
			from[id] = l
		}
	}
	events, letters := s.Events(len(from)), s.DeadLetters(len(partitions))
	failed := map[models.Lane]int{}
	for id, l := range from {
		want := "queued 0, attempt 1, sent 1"
		if letters[id] != nil {
			want = attempts[l]
			failed[l]++
			if source := stage.Header(letters[id][0].Record, models.HeaderSourceTopic); source != s.RequestTopic(l) {
				t.Errorf("the dead letter's source-topic is %s, want %s", source, s.RequestTopic(l))
			}
		}
		stage.CheckSequence(t, "a message of "+string(l), events[id], want)
		for _, e := range events[id] {
			if topic := stage.Header(e.Record, models.HeaderSourceTopic); topic != s.RequestTopic(l) || !s.InPlace(e) {
				t.Errorf("an event of lane %s in partition %d names %s", l, e.Record.Partition, e.Source())
			}
		}
	}
	if len(failed) != len(partitions) {
		t.Errorf("dead letters by lane: %v, want one of each", failed)
	}
	s.Committed()
	stage.Eventually(t, func() string { return missingMetrics(t, w, good) })
	_, live := w.Get("/healthz/live")
	for _, loop := range []string{"poll", "commit"} {
		for _, name := range []string{loop, loop + ".high", loop + ".bulk"} {
			if !strings.Contains(live, fmt.Sprintf(`%q:{"status":"ok"}`, name)) {
				t.Errorf("live says %s, want it to watch %s", live, name)
			}
		}
	}
	requests, high, normal := s.Topic("request"), s.Group()+".high", s.Group()
	started := fmt.Sprintf(`"topics":[%q,%q,%q],"groups":[%q,%q,%q]`, requests+".high", requests, requests+".bulk", high, normal, s.Group()+".bulk")
	if !strings.Contains(w.Logs(), started) {
		t.Errorf("the log does not say %s", started)
	}
	members, err := s.Admin.DescribeGroups(s.Ctx, high, normal)
	if err != nil {
		t.Fatal(err)
	}
	for group, client := range map[string]string{high: "the-client.high", normal: "the-client"} {
		if m := members[group].Members; len(m) != 1 || m[0].ClientID != client {
			t.Errorf("members of %s are %v, want one %s", group, m, client)
		}
	}
	w.Stop()
}

// missingMetrics returns what /metrics does not say of three lanes with that many
// messages sent in each, and one failed.
func missingMetrics(t *testing.T, w *stage.Worker, sent int) string {
	t.Helper()
	got, wrong := metrics(t, w), strings.Builder{}
	want := map[string]float64{`messaging_kafka_buffered_produce_records{channel="sms",client="producer.dlq"}`: 0}
	for client, lane := range map[string]string{"consumer": "normal", "consumer.high": "high", "consumer.bulk": "bulk"} {
		label := `{channel="sms",lane="` + lane + `"}`
		want[`messaging_messages_total{channel="sms",failure_type="",lane="`+lane+`",outcome="sent"}`] = float64(sent)
		want[`messaging_messages_total{channel="sms",failure_type="transient",lane="`+lane+`",outcome="failed"}`] = 1
		want["messaging_queue_wait_seconds_count"+label] = float64(sent) + 1
		want["messaging_message_duration_seconds_count"+label] = float64(sent) + 1
		want["messaging_pending_messages"+label] = 0
		want["messaging_pending_bytes"+label] = 0
		want["messaging_messages_backing_off"+label] = 0
		want[`messaging_oldest_unfinished_seconds{channel="sms",lane="`+lane+`",partition="0"}`] = 0
		want[`messaging_kafka_buffered_fetch_records{channel="sms",client="`+client+`"}`] = 0
	}
	for name, value := range want {
		if at, there := got[name]; !there || at != value {
			fmt.Fprintf(&wrong, "%s is %v (there: %t), want %v\n", name, at, there, value)
		}
	}
	return wrong.String()
}

// The topic of a lane that is missing is a fault that names it, and the other
// lanes work, also under a rate of the whole group. Once it is there it is read.
func TestLaneWithoutATopic(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{High: 2, Partitions: 2})
	bulk := s.RequestTopic(models.LaneBulk)
	w := s.Work(map[string]string{"KAFKA_SMS_REQUEST_TOPIC_BULK": bulk, "GROUP_RATE_PER_SECOND": "500"})
	ids := slices.Concat(putInto(s, models.LaneHigh, 20, 2, nil), putInto(s, models.LaneNormal, 20, 2, nil))
	events := s.Events(len(ids))
	for _, id := range ids {
		stage.CheckSequence(t, "a message", events[id], "queued 0, attempt 1, sent 1")
	}
	body := w.WaitReady(http.StatusServiceUnavailable)
	if want := "topic " + bulk + " does not exist"; !strings.Contains(body, want) {
		t.Errorf("ready says %s, want: %s", body, want)
	}
	stage.Eventually(t, func() string {
		if _, body := w.Get("/healthz/ready"); !strings.Contains(body, "lane bulk: has not joined") || strings.Contains(body, "lane high") {
			return "ready says " + body
		}
		return ""
	})
	if _, err := s.Admin.CreateTopic(s.Ctx, 2, 1, nil, bulk); err != nil {
		t.Fatal(err)
	}
	w.WaitReady(http.StatusOK)
	late := putInto(s, models.LaneBulk, 20, 2, nil)
	events = s.Events(len(ids) + len(late))
	for _, id := range late {
		stage.CheckSequence(t, "a message of the lane that came late", events[id], "queued 0, attempt 1, sent 1")
	}
	w.Stop()
}

// A lane whose bounds are full of messages that wait holds up itself alone.
func TestFullLaneHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const bound = 20
	s := stage.New(t, models.SMS, stage.Options{High: 2, Partitions: 2, Bulk: 2})
	putInto(s, models.LaneBulk, 5*bound, 2, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "3600000"))
	w := s.Work(map[string]string{
		"BULK_MAX_PENDING_MESSAGES": strconv.Itoa(bound), "RETRY_AFTER_MAX_SECONDS": "3600", "WORKER_CONCURRENCY": "2", "PPROF_ENABLED": "true",
	})
	full := func() string {
		got := metrics(t, w)
		waiting, pending := got[`messaging_messages_backing_off{channel="sms",lane="bulk"}`], got[`messaging_pending_messages{channel="sms",lane="bulk"}`]
		if waiting != bound || pending != bound {
			return fmt.Sprintf("%v messages of bulk are pending and %v back off, want %d", pending, waiting, bound)
		}
		return ""
	}
	stage.Eventually(t, full)
	ids := slices.Concat(putInto(s, models.LaneHigh, 200, 2, nil), putInto(s, models.LaneNormal, 200, 2, nil))
	events := s.Events(len(ids))
	for _, id := range ids {
		stage.CheckSequence(t, "a message", events[id], "queued 0, attempt 1, sent 1")
	}
	if wrong := full(); wrong != "" {
		t.Error(wrong)
	}
	s.CommittedIn(models.LaneHigh, models.LaneNormal)
	var report struct {
		Partitions []struct{ Lane models.Lane }
		Messages   []struct{ Lane models.Lane }
	}
	if err := json.Unmarshal([]byte(debugAnswer(t, w, "/debug/pending")), &report); err != nil {
		t.Fatal(err)
	}
	partitions := map[models.Lane]int{}
	for _, p := range report.Partitions {
		partitions[p.Lane]++
	}
	if want := map[models.Lane]int{models.LaneHigh: 2, models.LaneNormal: 2, models.LaneBulk: 2}; !maps.Equal(partitions, want) {
		t.Errorf("partitions by lane: %v, want %v", partitions, want)
	}
	for _, m := range report.Messages {
		if m.Lane != models.LaneBulk {
			t.Errorf("a message of lane %q is unfinished", m.Lane)
		}
	}
	if len(report.Messages) != bound {
		t.Errorf("%d messages are unfinished, want %d", len(report.Messages), bound)
	}
	w.Stop()
}

// How long Twilio may queue a message is what its lane's age limit leaves.
func TestValidityPeriodOfALane(t *testing.T) {
	t.Parallel()
	const account, token = "AC00000000000000000000000000000001", "secret"
	twilio := fake.Twilio(account, account, token)
	server := httptest.NewServer(twilio)
	defer server.Close()
	s := stage.New(t, models.SMS, stage.Options{High: 1, Partitions: 1, Bulk: 1})
	w := s.Work(map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_ACCOUNT_SID": account, "TWILIO_AUTH_TOKEN": token, "TWILIO_BASE_URL": server.URL,
		"HIGH_MESSAGE_MAX_AGE_SECONDS": "86400",
	})
	for _, l := range s.Lanes {
		putInto(s, l, 1, 1, map[string]any{
			"to": []string{"+1555000" + strconv.Itoa(1000+l.Rank())}, "created_at": time.Now().UTC().Format(time.RFC3339),
		})
	}
	s.Events(len(s.Lanes))
	periods := map[string]string{}
	for _, accepted := range twilio.Ledger() {
		periods[accepted.To] = accepted.Sent["ValidityPeriod"]
	}
	want := map[string]string{"+15550001000": "36000", "+15550001001": "", "+15550001002": ""}
	if !maps.Equal(periods, want) {
		t.Errorf("ValidityPeriod by number: %v, want %v", periods, want)
	}
	w.Stop()
}
