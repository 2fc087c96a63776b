package cluster

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"messaging-worker/internal/config"
	testkafka "messaging-worker/test/kafka"
)

// tool returns the settings of the SMS channel as msgctl has them.
func tool(t *testing.T, settings ...string) *config.Config {
	t.Helper()
	all := map[string]string{"KAFKA_BROKERS": "127.0.0.1:1"}
	for pair := range slices.Chunk(settings, 2) {
		all[pair[0]] = pair[1]
	}
	c, err := config.LoadTool(func(name string) (string, bool) { v, ok := all[name]; return v, ok }, "sms")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A lane and the control topic are made where somebody has named them, and all
// where nobody has named anything.
func TestTopicsToMake(t *testing.T) {
	t.Parallel()
	const check = " messages.connection-check"
	for _, tt := range []struct {
		name     string
		settings []string
		want     string
	}{
		{
			"nothing is set", nil, "messages.sms.request.high messages.sms.request messages.sms.request.bulk " +
				"messages.sms.status messages.sms.dlq messages.control" + check,
		},
		{"the request topic is", []string{"KAFKA_SMS_REQUEST_TOPIC", "r"}, "r messages.sms.status messages.sms.dlq" + check},
		{
			"and a lane",
			[]string{"KAFKA_SMS_REQUEST_TOPIC", "r", "KAFKA_SMS_REQUEST_TOPIC_BULK", "b"},
			"r b messages.sms.status messages.sms.dlq" + check,
		},
		{
			"and the control topic",
			[]string{"KAFKA_SMS_REQUEST_TOPIC", "r", "KAFKA_CONTROL_TOPIC", "c"},
			"r messages.sms.status messages.sms.dlq c" + check,
		},
	} {
		channels := []*config.Config{tool(t, tt.settings...)}
		if diff := cmp.Diff(strings.Fields(tt.want), allTopics(channels)); diff != "" {
			t.Errorf("%s: topics (-want +got):\n%s", tt.name, diff)
		}
		var names []string
		for _, w := range wantedOf(channels[0], nil, false) {
			names = append(names, w.name)
		}
		if diff := cmp.Diff(strings.Fields(tt.want), names); diff != "" {
			t.Errorf("%s: wanted topics (-want +got):\n%s", tt.name, diff)
		}
	}
}

// The status topic follows the largest lane and the one that keeps its requests
// for longest, one that is still to be made too.
func TestStatusFollowsAllLanes(t *testing.T) {
	t.Parallel()
	c := tool(t)
	for _, tt := range []struct {
		name              string
		high, bulk        *topic
		partitions        int
		retention, longer string
	}{
		{"none is there", nil, nil, 12, "604800000", ""},
		{"one has more partitions", there("", 24, 1, nil), nil, 24, "604800000", ""},
		{"another keeps requests for longer", there("", 3, 1, nil), there("", 6, 1, map[string]string{retentionTime: "900000000", retentionBytes: "7"}), 12, "900000000", "7"},
	} {
		found := map[string]*topic{"messages.sms.request.high": tt.high, "messages.sms.request.bulk": tt.bulk}
		list := wantedOf(c, found, false)
		status := list[slices.IndexFunc(list, func(w wanted) bool { return w.name == c.Kafka.StatusTopic })]
		settings := status.config()
		got := []string{"", ""}
		for i, name := range []string{retentionTime, retentionBytes} {
			if v := settings[name]; v != nil {
				got[i] = *v
			}
		}
		if diff := cmp.Diff([]string{tt.retention, tt.longer}, got); diff != "" || status.partitions != tt.partitions {
			t.Errorf("%s: %d partitions, want %d; retention (-want +got):\n%s", tt.name, status.partitions, tt.partitions, diff)
		}
	}
}

// The topic of orders has one partition, is compacted, and keeps every order for
// longer than it may last.
func TestControlTopicIsMade(t *testing.T) {
	t.Parallel()
	c := tool(t)
	list := wantedOf(c, nil, false)
	control := list[slices.IndexFunc(list, func(w wanted) bool { return w.name == c.Kafka.ControlTopic })]
	want := "1 partition, replication 1, cleanup.policy=compact,delete, min.insync.replicas=1, retention.ms=3456000000, max.message.bytes=1048588, min.compaction.lag.ms=604800000"
	if got := control.String(); got != want {
		t.Errorf("the control topic is made with\n%s, want\n%s", got, want)
	}
	right := map[string]string{cleanupPolicy: "delete,compact", minISR: "1", retentionTime: "3456000000", maxBytes: "1048588", compactionLag: "604800000"}
	for _, tt := range []struct{ setting, value, want string }{
		{cleanupPolicy, "compact,delete", "/as wanted"},
		{cleanupPolicy, "delete", "cleanup.policy/kept"},
		{compactionLag, "0", "min.compaction.lag.ms/raised"},
		{retentionTime, "604800000", "retention.ms/raised"},
		{retentionTime, "-1", "retention.ms/kept"},
	} {
		settings := maps.Clone(right)
		settings[tt.setting] = tt.value
		var got []string
		for _, change := range diff(control, there(control.name, 1, 1, settings), false) {
			got = append(got, change.Setting+"/"+string(change.Result))
		}
		if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
			t.Errorf("%s=%s: changes (-want +got):\n%s", tt.setting, tt.value, diff)
		}
	}
}

func TestPartitionsOfLanes(t *testing.T) {
	t.Parallel()
	c := tool(t)
	for _, tt := range []struct {
		high, normal, bulk, status int
		want                       string
	}{
		{12, 12, 12, 12, "ok 12 of requests and of events"},
		{6, 12, 3, 12, "ok 6 of high, 12 of normal, 3 of bulk requests, 12 of events"},
		{6, 12, 3, 24, "warn 6 of high, 12 of normal, 3 of bulk requests, 24 of events: the last 12 of events stay empty"},
		{24, 12, 3, 12, "FAIL 24 of high, 12 of normal, 3 of bulk requests, but 12 of events: partitions of requests share one of events"},
		{0, 12, 12, 12, "skipped " + seeTopics},
	} {
		o := &ofChannel{Config: c, status: there("s", tt.status, 1, nil)}
		for i, n := range []int{tt.high, tt.normal, tt.bulk} {
			l := ofLane{c.Lanes()[i], there("r", n, 1, nil)}
			if n == 0 {
				l.request.err = kerr.UnknownTopicOrPartition
			}
			o.lanes = append(o.lanes, l)
		}
		f := (&checker{}).partitions(t.Context(), o)
		if got := string(f.Verdict) + " " + f.Seen; got != tt.want {
			t.Errorf("partitions: %s, want %s", got, tt.want)
		}
	}
}

// A topic that forgets orders in force is wrong; one that keeps too much, or
// forgets the history, could be better.
func TestKeepsOrders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ policy, retention, lag, want string }{
		{"compact,delete", "3456000000", "604800000", ""},
		{"compact,delete", "-1", "-1", ""},
		{"compact", "604800000", "604800000", "warn cleanup.policy is compact, want compact,delete"},
		{"compact,delete", "2592000000", "604800000", "warn retention.ms is 720h0m0s, want 960h0m0s"},
		{"compact,delete", "2591999999", "604800000", "FAIL retention.ms is 719h59m59.999s: orders go before they end"},
		{"delete", "604800000", "0", "FAIL cleanup.policy is delete, want compact,delete"},
		{"compact,delete", "3456000000", "0", "warn min.compaction.lag.ms is 0s, want 168h0m0s"},
		{"", "", "", ""}, // may not be seen
	} {
		var w worst
		keepsOrders(&w, there("c", 1, 1, map[string]string{cleanupPolicy: tt.policy, retentionTime: tt.retention, compactionLag: tt.lag}))
		if got := strings.TrimSpace(string(w.Verdict) + " " + w.Seen); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s, %s, %s: %s, want %s", tt.policy, tt.retention, tt.lag, got, tt.want)
		}
	}
}

// Lanes and control topic are checked where they are named or exist. What exists
// and is not named is read by no worker, and so need not be right.
func TestCheckLooksAtLanesThatExist(t *testing.T) {
	t.Parallel()
	broker := testkafka.Embedded(t, kfake.SeedTopics(1, "r", "messages.sms.status", "messages.sms.dlq", "messages.connection-check"))
	settings := []string{"KAFKA_BROKERS", broker.ListenAddrs()[0], "KAFKA_SMS_REQUEST_TOPIC", "r"}
	look := func(settings ...string) map[string]string {
		seen := map[string]string{}
		for _, f := range Check(t.Context(), []*config.Config{tool(t, settings...)}) {
			seen[f.Check] = string(f.Verdict) + " " + f.Seen
		}
		return seen
	}
	const bulk = "messages.sms.request.bulk"
	want := func(when string, seen map[string]string, checks ...string) {
		t.Helper()
		for pair := range slices.Chunk(checks, 2) {
			if got := seen[pair[0]]; !strings.HasPrefix(got, pair[1]) || pair[1] == "" && got != "" {
				t.Errorf("%s, %s: %q, want %q", when, pair[0], got, pair[1])
			}
		}
	}
	before := look(settings...)
	want("nothing more", before, "control", "", "group", "ok", "group.high", "", "group.bulk", "", "topics", "ok r, messages.sms.status and")
	named := append(settings, "KAFKA_SMS_REQUEST_TOPIC_BULK", bulk, "KAFKA_CONTROL_TOPIC", "messages.control")
	want("named", look(named...), "control", "FAIL topic messages.control (KAFKA_CONTROL_TOPIC) does not exist",
		"group.bulk", "skipped", "group.high", "", "topics", "FAIL "+bulk+" does not exist")
	for _, topic := range []string{bulk, "messages.control"} {
		if err := broker.CreateTopic(topic, 2, map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "-1"}); err != nil {
			t.Fatal(err)
		}
	}
	want("there", look(settings...), "control", "warn messages.control exists, and KAFKA_CONTROL_TOPIC is not set",
		"group.bulk", "ok no worker has joined sms-workers.bulk", "group.high", "", "topics", "warn "+bulk+" exists, and KAFKA_SMS_REQUEST_TOPIC_BULK is not set",
		"partitions", "ok 1 of requests and of events", "sizes", before["sizes"], "journal", before["journal"])
	want("named and there", look(named...), "control", "FAIL messages.control has 2 partitions, want 1", "group.bulk", "ok", "topics", "ok r, "+bulk+", messages.sms.status and",
		"partitions", "FAIL 1 of normal, 2 of bulk requests")
}
