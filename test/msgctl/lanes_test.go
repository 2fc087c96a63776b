package msgctl_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/test/stage"
)

// laned are the settings of an SMS channel with all lanes and a control topic.
func laned(s *stage.Stage) map[string]string {
	return map[string]string{
		"KAFKA_SMS_REQUEST_TOPIC_HIGH": s.Topic("request.high"), "KAFKA_SMS_REQUEST_TOPIC_BULK": s.Topic("request.bulk"),
		"KAFKA_CONTROL_TOPIC": s.Topic("control"),
	}
}

// onLanes runs msgctl with those settings.
func onLanes(t *testing.T, s *stage.Stage, args ...string) result {
	t.Helper()
	return with(t, s, pairs(laned(s)), args...)
}

// pairs writes settings as an environment has them.
func pairs(settings map[string]string) []string {
	var list []string
	for name, value := range settings {
		list = append(list, name+"="+value)
	}
	return list
}

// newLanes makes the topics of such a channel.
func newLanes(t *testing.T) *stage.Stage {
	t.Helper()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	succeeds(t, onLanes(t, s, "topics", "init", "--channel", "sms"))
	return s
}

// lying returns what lies on a topic, in the order of each partition.
func lying(t *testing.T, s *stage.Stage, topic string) []*kgo.Record {
	t.Helper()
	ends, err := s.Admin.ListEndOffsets(s.Ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	var list []*kgo.Record
	if total > 0 {
		s.Follow(topic, func(r *kgo.Record) bool {
			list = append(list, r)
			return len(list) >= total
		})
	}
	return list
}

// Every lane and the control topic are made, shown and checked.
func TestTopicsOfLanes(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	r := onLanes(t, s, "check", "--channel", "sms")
	golden(t, s, "check-no-lanes", steady(r.out))
	r = succeeds(t, onLanes(t, s, "topics", "init", "--channel", "sms"))
	golden(t, s, "topics-init-lanes", r.out)
	r = succeeds(t, onLanes(t, s, "topics", "init", "--channel", "sms"))
	if strings.Count(r.out, "as wanted") != 7 {
		t.Errorf("a second run finds something to do:\n%s", r.out)
	}
	r = succeeds(t, onLanes(t, s, "topics", "list", "--channel", "sms"))
	golden(t, s, "topics-list-lanes", r.out)
	r = succeeds(t, onLanes(t, s, "check", "--channel", "sms"))
	golden(t, s, "check-lanes", steady(r.out))

	succeeds(t, onLanes(t, s, "produce", "--channel", "sms", "--lane", "bulk", "--count", "3"))
	alter(t, s, s.Topic("status"), "retention.ms", "3600000")
	alter(t, s, s.Topic("request.high"), "retention.ms", "1800000", "max.message.bytes", "3000000")
	alter(t, s, s.Topic("control"), "cleanup.policy", "delete", "retention.ms", "604800000")
	expect(t, verdicts(t, onLanes(t, s, "check", "--channel", "sms", "-o", "json")), map[string]string{
		"control":    "FAIL cleanup.policy is delete, want compact,delete: lifted and ended orders stay; retention.ms is 168h0m0s: orders go",
		"sizes":      "warn " + s.Topic("request.high") + " takes 3000000 bytes",
		"journal":    "FAIL " + s.Topic("status") + ": retention.ms is 1h0m0s, less than the request topic's: events go while their requests are still there (normal, bulk)",
		"group":      "ok no worker has joined " + s.Group() + " yet, 0 requests waiting",
		"group.high": "ok no worker has joined " + s.Group() + ".high yet, 0 requests waiting",
		"group.bulk": "warn no worker has joined " + s.Group() + ".bulk yet, 3 requests waiting",
	})
	r = succeeds(t, onLanes(t, s, "topics", "init", "--channel", "sms"))
	if got := raw(t, s, s.Topic("status"), "retention.ms"); got != "604800000" {
		t.Errorf("the status topic keeps events for %s, want as long as the longest lane:\n%s", got, r.out)
	}
}

// A request goes to the lane that is asked for, and its way is told.
func TestTrafficOnLanes(t *testing.T) {
	t.Parallel()
	real(t)
	s := newLanes(t)
	s.Work(laned(s))
	r := succeeds(t, onLanes(t, s, "send", "sms", "--lane", "high", "--from", "+15551234567", "--to", "+15557654321", "--body", "x", "--wait"))
	if !strings.Contains(r.out, "produced  "+s.Topic("request.high")) {
		t.Errorf("send --lane high says %s", r.out)
	}
	follow := command(t.Context(), s, "status", "follow", "--from-start", "--channel", "sms")
	follow.Env = append(follow.Env, pairs(laned(s))...)
	if r := interruptAt(t, follow, printed("sent"), nil); !strings.Contains(r.out, "  sms       high    ") {
		t.Errorf("status follow says %s", r.out)
	}
	r = succeeds(t, onLanes(t, s, "load", "--channel", "sms", "--lane", "bulk", "--messages", "2000", "--await", "-o", "json"))
	if got := readLoad(t, r).Outcome; got.Sent != 2000 || got.Lost+got.Doubled != 0 {
		t.Errorf("load --lane bulk: %s", r.out)
	}
	succeeds(t, onLanes(t, s, "produce", "--channel", "sms"))
	for topic, want := range map[string]int{"request.high": 1, "request": 1, "request.bulk": 2000} {
		if n := len(lying(t, s, s.Topic(topic))); n != want {
			t.Errorf("%d requests on %s, want %d", n, topic, want)
		}
	}
}

// Requests go back to the lane that they came by, or to the one that is asked
// for, as often as they fail.
func TestReplayOnLanes(t *testing.T) {
	t.Parallel()
	real(t)
	s := newLanes(t)
	small := kadm.AlterConfig{Op: kadm.SetConfig, Name: "max.message.bytes", Value: new("6000")}
	if _, err := s.Admin.AlterTopicConfigs(s.Ctx, []kadm.AlterConfig{small}, s.Topic("dlq")); err != nil {
		t.Fatal(err)
	}
	w := s.Work(laned(s))
	refused := func(id, topic string, more map[string]any) *kgo.Record {
		edits := stage.Hints("scenario", "permanent")
		maps.Copy(edits, more)
		return &kgo.Record{Topic: s.Topic(topic), Key: []byte(id), Value: stage.Request(models.SMS, id, edits)}
	}
	all := []*kgo.Record{
		refused(idRefused, "request.high", map[string]any{"note": stage.RandomHex(20000)}), // not in its letter
		refused(idSpent, "request", nil), refused(idInvalid, "request.bulk", nil),
	}
	// Where none of the usual partitioners would put it, and replays leave it.
	all[0].Key, all[0].Partition = nil, (scan.Murmur2([]byte(idRefused), 12)+1)%12
	if err := s.Client.ProduceSync(s.Ctx, all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s.DeadLetters(3)
	for lane, id := range map[string]string{"high": idRefused, "normal": idSpent, "bulk": idInvalid} {
		r := succeeds(t, onLanes(t, s, "dlq", "list", "--lane", lane, "-o", "json"))
		if strings.Count(r.out, "\n") != 1 || !strings.Contains(r.out, id) {
			t.Errorf("dlq list --lane %s: %s", lane, r.out)
		}
	}
	r := succeeds(t, onLanes(t, s, "dlq", "stats", "--lane", "high,bulk"))
	if !strings.Contains(timeless(r.out), "COUNT  LANE\n1  bulk\n1  high\n") {
		t.Errorf("dlq stats: %s", r.out)
	}

	replay := func(group string, args ...string) string {
		r := onLanes(t, s, append([]string{"dlq", "replay", "--channel", "sms", "-o", "json", "--group", s.Name + group}, args...)...)
		if r.code != 0 {
			t.Fatalf("replay %s exits %d: %s%s", args, r.code, r.out, r.err)
		}
		return r.out
	}
	replay("1") // all, each where it was
	s.DeadLetters(6)
	if out := replay("2", "--lane", "high", "--to-lane", "bulk"); !strings.Contains(out, `"topic":"`+s.Topic("request.bulk")+`"`) ||
		!strings.Contains(out, `"replayed":1,`) || !strings.Contains(out, `"skipped":{"replayed before`) {
		t.Errorf("replay from high to bulk: %s", out)
	}
	s.DeadLetters(7)
	replay("3", "--lane", "bulk", "--message-id", idRefused) // back to bulk now
	s.DeadLetters(8)
	w.Kill()
	got := map[string][]string{}
	for _, topic := range []string{"request.high", "request", "request.bulk"} {
		for _, rec := range lying(t, s, s.Topic(topic)) {
			id := string(rec.Key)
			if id == "" {
				id = idRefused
			}
			got[id] = append(got[id], topic+" "+stage.Header(rec, "replay-count"))
			if id == idRefused && rec.Partition != all[0].Partition {
				t.Errorf("%s lies in partition %d of %s, want %d as before", id, rec.Partition, topic, all[0].Partition)
			}
		}
	}
	want := map[string][]string{
		idRefused: {"request.high ", "request.high 1", "request.bulk 2", "request.bulk 3"},
		idSpent:   {"request ", "request 1"}, idInvalid: {"request.bulk ", "request.bulk 1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests and their replay-counts (-want +got):\n%s", diff)
	}

	// What becomes of a message is told by lane.
	var story struct {
		Deliveries []struct{ Source, Lane string }
	}
	r = succeeds(t, onLanes(t, s, "status", "show", idRefused, "-o", "json"))
	if err := json.Unmarshal([]byte(r.out), &story); err != nil {
		t.Fatal(err)
	}
	var lanes []string
	for _, d := range story.Deliveries {
		lanes = append(lanes, d.Lane)
	}
	if !slices.Equal(lanes, []string{"high", "high", "bulk", "bulk"}) {
		t.Errorf("deliveries %v, want them by lane: %s", lanes, r.out)
	}
	r = succeeds(t, onLanes(t, s, "status", "show", idSpent))
	golden(t, s, "status-show-lanes", named(timeless(r.out)))

	// Without the lane's name its requests go to normal, and that is told.
	r = succeeds(t, msgctl(t, s, "", "dlq", "replay", "--channel", "sms", "--message-id", idInvalid, "--dry-run"))
	if !strings.Contains(r.out, "would be replayed as number 2, to "+s.Topic("request")+"\n") {
		t.Errorf("a replay from a lane that is gone: %s", r.out)
	}
}
