package config_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/config"
)

const (
	highTopic = "KAFKA_SMS_REQUEST_TOPIC_HIGH"
	bulkTopic = "KAFKA_SMS_REQUEST_TOPIC_BULK"
)

// lanes are the topics of two further lanes, and extra.
func lanes(extra map[string]string) map[string]string {
	env := map[string]string{highTopic: "codes", bulkTopic: "campaigns"}
	maps.Copy(env, extra)
	return env
}

// route is what tells one lane from another.
type route struct {
	Lane, Topic, Group string
	Given              bool
}

func routes(c *config.Config) []route {
	var list []route
	for _, own := range c.Lanes() {
		list = append(list, route{own.Lane, own.Kafka.RequestTopic, own.Kafka.Group, own.Kafka.LaneGiven})
		if own.Lane != "normal" && len(own.Lanes()) != 1 {
			list = append(list, route{Lane: "lanes of a lane"})
		}
	}
	return list
}

func TestLanes(t *testing.T) {
	t.Parallel()
	normal := route{"normal", "messages.sms.request", "sms-workers", true}
	high, bulk := route{"high", "codes", "sms-workers.high", true}, route{"bulk", "campaigns", "sms-workers.bulk", true}
	tests := []struct {
		name string
		env  map[string]string
		want []route
	}{
		{"one", nil, []route{normal}},
		{"all", lanes(nil), []route{high, normal, bulk}},
		{"no high", map[string]string{bulkTopic: "campaigns", highTopic: " "}, []route{normal, bulk}},
		{"those of another channel", map[string]string{"KAFKA_EMAIL_REQUEST_TOPIC_HIGH": "codes"}, []route{normal}},
	}
	for _, tt := range tests {
		c, problems := load(t, "sms", tt.env)
		if problems != nil {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(tt.want, routes(c)); diff != "" {
			t.Errorf("%s: lanes (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A tool knows all lanes by name, and which of the names somebody gave.
func TestLanesOfTools(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		env     map[string]string
		want    []route
		control bool
	}{
		{
			"nothing is set", nil,
			[]route{{"high", "messages.sms.request.high", "sms-workers.high", false}, {"normal", "messages.sms.request", "sms-workers", false}, {"bulk", "messages.sms.request.bulk", "sms-workers.bulk", false}},
			false,
		},
		{
			"some are set",
			map[string]string{highTopic: "codes", "KAFKA_SMS_REQUEST_TOPIC": "sms", "SMS_CONSUMER_GROUP": "g", "KAFKA_CONTROL_TOPIC": "messages.control"},
			[]route{{"high", "codes", "g.high", true}, {"normal", "sms", "g", true}, {"bulk", "messages.sms.request.bulk", "g.bulk", false}},
			true,
		},
		{
			"a tool's own name is taken",
			map[string]string{"KAFKA_SMS_REQUEST_TOPIC": "messages.sms.request.bulk", "KAFKA_SMS_DLQ_TOPIC": "messages.sms.request.high"},
			[]route{{"normal", "messages.sms.request.bulk", "sms-workers", true}},
			false,
		},
		{
			"by a lane",
			map[string]string{bulkTopic: "messages.sms.request.high"},
			[]route{{"normal", "messages.sms.request", "sms-workers", false}, {"bulk", "messages.sms.request.high", "sms-workers.bulk", true}},
			false,
		},
	}
	for _, tt := range tests {
		env := map[string]string{"KAFKA_BROKERS": "localhost:9092"}
		maps.Copy(env, tt.env)
		c, err := config.LoadTool(lookup(env), "sms")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, routes(c)); diff != "" {
			t.Errorf("%s: lanes (-want +got):\n%s", tt.name, diff)
		}
		if c.Kafka.ControlTopic != "messages.control" || c.Kafka.ControlGiven != tt.control {
			t.Errorf("%s: control topic %q, given %t", tt.name, c.Kafka.ControlTopic, c.Kafka.ControlGiven)
		}
	}
}

// A worker follows the orders of a topic only where it is set.
func TestControlTopic(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"", "orders"} {
		c, problems := load(t, "sms", lanes(map[string]string{"KAFKA_CONTROL_TOPIC": topic, "SMS_KAFKA_CONTROL_TOPIC": "other"}))
		if problems != nil {
			t.Fatal(problems)
		}
		for _, own := range c.Lanes() {
			if own.Kafka.ControlTopic != topic || own.Kafka.ControlGiven != (topic != "") {
				t.Errorf("lane %s: control topic %q, given %t, want %q", own.Lane, own.Kafka.ControlTopic, own.Kafka.ControlGiven, topic)
			}
		}
	}
}

// perLane returns the value of a setting that may differ by lane.
var perLane = map[string]func(*config.Worker) any{
	"MAX_ATTEMPTS":            func(w *config.Worker) any { return w.MaxAttempts },
	"BASE_BACKOFF_SECONDS":    func(w *config.Worker) any { return int(w.BaseBackoff / time.Second) },
	"MAX_BACKOFF_SECONDS":     func(w *config.Worker) any { return int(w.MaxBackoff / time.Second) },
	"MESSAGE_MAX_AGE_SECONDS": func(w *config.Worker) any { return int(w.MaxAge / time.Second) },
	"AMBIGUOUS_OUTCOME":       func(w *config.Worker) any { return w.AmbiguousOutcome },
	"MAX_PENDING_MESSAGES":    func(w *config.Worker) any { return w.MaxPendingMessages },
	"MAX_PENDING_BYTES":       func(w *config.Worker) any { return w.MaxPendingBytes },
}

// Of the four variables that may set a lane's value the most particular one
// wins, whatever the others say. The other lanes go by the last two.
func TestLanePrecedence(t *testing.T) {
	t.Parallel()
	for name, value := range perLane {
		wins, loses := "41", "40"
		var want, other any = 41, 40
		if name == "AMBIGUOUS_OUTCOME" {
			wins, loses, want, other = "dlq", "retry", "dlq", "retry"
		}
		for _, lane := range []string{"HIGH", "BULK"} {
			names := []string{"SMS_" + lane + "_" + name, lane + "_" + name, "SMS_" + name, name}
			for i, variable := range names {
				env := lanes(map[string]string{variable: wins})
				for _, weaker := range names[i+1:] {
					env[weaker] = loses
				}
				c, problems := load(t, "sms", env)
				if problems != nil {
					t.Fatal(problems)
				}
				for _, own := range c.Lanes() {
					want := want
					if i < 2 && !strings.EqualFold(own.Lane, lane) {
						want = other
					}
					if got := value(&own.Worker); got != want {
						t.Errorf("%s of lane %s = %v where %s is set, want %v", name, own.Lane, got, variable, want)
					}
				}
			}
		}
	}
}

// What is no setting of a lane is read for none.
func TestOnlySomeSettingsAreOfALane(t *testing.T) {
	t.Parallel()
	for _, name := range config.Names() {
		_, want := perLane[name]
		for _, variable := range []string{"HIGH_" + name, "BULK_" + name, "SMS_HIGH_" + name, "WHATSAPP_BULK_" + name} {
			if config.Known(variable) != want {
				t.Errorf("Known(%s) = %t, want %t", variable, !want, want)
			}
		}
	}
	for _, name := range []string{"NORMAL_MAX_ATTEMPTS", "HIGH_SMS_MAX_ATTEMPTS"} {
		if config.Known(name) {
			t.Errorf("Known(%s) = true, want false", name)
		}
	}
}

// A mistake is named by the variable that makes it, once, with or without the
// lane.
func TestMistakesOfLanes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"range", map[string]string{"HIGH_MAX_ATTEMPTS": "0"}, []string{"HIGH_MAX_ATTEMPTS"}},
		{"of the channel", map[string]string{"HIGH_MAX_ATTEMPTS": "4", "SMS_HIGH_MAX_ATTEMPTS": "x"}, []string{"SMS_HIGH_MAX_ATTEMPTS"}},
		{"of another channel", map[string]string{"EMAIL_HIGH_MAX_ATTEMPTS": "x"}, nil},
		{"quotes", map[string]string{"BULK_AMBIGUOUS_OUTCOME": "'dlq'"}, []string{"BULK_AMBIGUOUS_OUTCOME"}},
		{"base above the common maximum", map[string]string{"HIGH_BASE_BACKOFF_SECONDS": "121"}, []string{"HIGH_BASE_BACKOFF_SECONDS"}},
		{"maximum below the common base", map[string]string{"SMS_BULK_MAX_BACKOFF_SECONDS": "9"}, []string{"SMS_BULK_MAX_BACKOFF_SECONDS"}},
		{"both", map[string]string{"BULK_BASE_BACKOFF_SECONDS": "3", "BULK_MAX_BACKOFF_SECONDS": "2"}, []string{"BULK_BASE_BACKOFF_SECONDS"}},
		{"a lane is right where the channel is wrong", map[string]string{"BASE_BACKOFF_SECONDS": "121", "HIGH_MAX_BACKOFF_SECONDS": "121"}, []string{"BASE_BACKOFF_SECONDS"}},
		{"a maximum that does not parse", map[string]string{"HIGH_MAX_BACKOFF_SECONDS": "x"}, []string{"HIGH_MAX_BACKOFF_SECONDS"}},
		{"a common one that does not parse", map[string]string{"SMS_MAX_BACKOFF_SECONDS": "x", "HIGH_BASE_BACKOFF_SECONDS": "11"}, []string{"SMS_MAX_BACKOFF_SECONDS"}},
		{"share", map[string]string{"LOWER_LANE_SHARE": "0.31"}, []string{"LOWER_LANE_SHARE"}},
		{"share below 0", map[string]string{"SMS_LOWER_LANE_SHARE": "-0.1"}, []string{"SMS_LOWER_LANE_SHARE"}},
		{"share NaN", map[string]string{"LOWER_LANE_SHARE": "NaN"}, []string{"LOWER_LANE_SHARE"}},
		{"reserve of all slots", map[string]string{"HIGH_RESERVED_SLOTS": "10"}, []string{"HIGH_RESERVED_SLOTS"}},
		{"reserve of the only slot", map[string]string{"SMS_HIGH_RESERVED_SLOTS": "1", "WORKER_CONCURRENCY": "1"}, []string{"SMS_HIGH_RESERVED_SLOTS"}},
		{"reserve below 0", map[string]string{"HIGH_RESERVED_SLOTS": "-1"}, []string{"HIGH_RESERVED_SLOTS"}},
		{"reserve of slots that do not parse", map[string]string{"HIGH_RESERVED_SLOTS": "3", "WORKER_CONCURRENCY": "x"}, []string{"WORKER_CONCURRENCY"}},
	}
	for _, tt := range tests {
		for _, env := range []map[string]string{tt.env, lanes(tt.env)} {
			_, problems := load(t, "sms", env)
			if got := variables(problems); !slices.Equal(got, tt.want) {
				t.Errorf("%s: problems %q, want those of %v", tt.name, problems, tt.want)
			}
		}
	}
}

func variables(problems []string) []string {
	var names []string
	for _, p := range problems {
		name, _, _ := strings.Cut(p, ":")
		names = append(names, name)
	}
	return names
}

// A topic is used for one thing.
func TestTopicsOfLanesDiffer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  map[string]string
		want []string
	}{
		{"two lanes", map[string]string{highTopic: "x", bulkTopic: "x"}, []string{bulkTopic}},
		{"the channel's own", map[string]string{highTopic: "messages.sms.request"}, []string{highTopic}},
		{"all three", map[string]string{highTopic: "messages.sms.request", bulkTopic: "messages.sms.request"}, []string{highTopic, bulkTopic}},
		{"status", map[string]string{bulkTopic: "messages.sms.status"}, []string{bulkTopic}},
		{"dead letters", map[string]string{highTopic: "messages.sms.dlq"}, []string{highTopic}},
		{"orders", map[string]string{highTopic: "x", "KAFKA_CONTROL_TOPIC": "x"}, []string{highTopic}},
		{"orders and requests", map[string]string{"KAFKA_CONTROL_TOPIC": "messages.sms.request"}, []string{"KAFKA_CONTROL_TOPIC"}},
		{"orders and events", map[string]string{"KAFKA_CONTROL_TOPIC": "messages.sms.status"}, []string{"KAFKA_CONTROL_TOPIC"}},
		{"events and dead letters, as ever", map[string]string{"KAFKA_SMS_DLQ_TOPIC": "messages.sms.status"}, nil},
	}
	for _, tt := range tests {
		_, problems := load(t, "sms", tt.env)
		if got := variables(problems); !slices.Equal(got, tt.want) {
			t.Errorf("%s: problems %q, want those of %v", tt.name, problems, tt.want)
		}
		env := map[string]string{"KAFKA_BROKERS": "localhost:9092"}
		maps.Copy(env, tt.env)
		if _, err := config.LoadTool(lookup(env), "sms"); (err != nil) != (tt.want != nil) {
			t.Errorf("%s: a tool says %v, want problems of %v", tt.name, err, tt.want)
		}
	}
}

func TestReservedSlots(t *testing.T) {
	t.Parallel()
	tests := []struct {
		slots, set string
		want       int
	}{
		{"1", "", 0},
		{"2", "", 1},
		{"10", "", 1},
		{"11", "", 2},
		{"50", "", 5},
		{"50", "0", 0},
		{"50", "49", 49},
	}
	for _, tt := range tests {
		env := map[string]string{"WORKER_CONCURRENCY": tt.slots, "HIGH_RESERVED_SLOTS": tt.set}
		alone, problems := load(t, "sms", env)
		if problems != nil || alone.Worker.ReservedSlots != 0 {
			t.Errorf("%s slots, set %q, no lane high: %+v, %q, want no reserve", tt.slots, tt.set, alone, problems)
		}
		c, problems := load(t, "sms", lanes(env))
		if problems != nil || c.Worker.ReservedSlots != tt.want || c.Worker.LowerLaneShare != 0.1 {
			t.Errorf("%s slots, set %q: %+v, %q, want a reserve of %d and a share of 0.1", tt.slots, tt.set, c, problems, tt.want)
		}
		if tt.set == "" {
			if v := inForce(lanes(env))["HIGH_RESERVED_SLOTS"]; v.Value != string(rune('0'+tt.want)) || v.From != "default" {
				t.Errorf("%s slots: %+v is shown, want %d by default", tt.slots, v, tt.want)
			}
		}
	}
	for _, env := range []map[string]string{nil, {"KAFKA_SMS_DLQ_TOPIC": ""}} { // with the second no worker starts
		if v := inForce(env)["HIGH_RESERVED_SLOTS"]; v.Value != "0" || v.From != "default" {
			t.Errorf("no lane high, %v: %+v is shown, want 0 by default", env, v)
		}
	}
}

// What is set for a lane is shown behind what is set for all.
func TestInForceOfLanes(t *testing.T) {
	t.Parallel()
	env := required()
	before := config.InForce(origin(env), "sms")
	maps.Copy(env, map[string]string{"SMS_HIGH_MAX_ATTEMPTS": "7", "HIGH_MAX_ATTEMPTS": "6", "BULK_MAX_ATTEMPTS": "2", "EMAIL_HIGH_MAX_PENDING_BYTES": "1"})
	after := config.InForce(origin(env), "sms")
	i := slices.IndexFunc(after, func(v config.Value) bool { return v.Name == "MAX_ATTEMPTS" })
	want := []config.Value{
		{Section: "Messages", Name: "HIGH_MAX_ATTEMPTS", Value: "7", From: "f", Variable: "SMS_HIGH_MAX_ATTEMPTS"},
		{Section: "Messages", Name: "BULK_MAX_ATTEMPTS", Value: "2", From: "f"},
	}
	if diff := cmp.Diff(slices.Insert(before, i+1, want...), after); diff != "" {
		t.Errorf("with settings for lanes (-want +got):\n%s", diff)
	}
	if v := inForce(map[string]string{"KAFKA_CONTROL_TOPIC": "orders"})["KAFKA_CONTROL_TOPIC"]; v.Value != "orders" {
		t.Errorf("control topic %+v, want it shown", v)
	}
}

// Few attempts in lane high let each failure there pause the channel.
func TestWarnsOfFewAttemptsInLaneHigh(t *testing.T) {
	t.Parallel()
	tests := []struct {
		env  map[string]string
		want int
	}{
		{map[string]string{"MAX_ATTEMPTS": "2", "HIGH_MAX_ATTEMPTS": "2"}, 0},
		{lanes(nil), 0},
		{lanes(map[string]string{"HIGH_MAX_ATTEMPTS": "2"}), 1},
		{lanes(map[string]string{"MAX_ATTEMPTS": "2"}), 1},
		{lanes(map[string]string{"MAX_ATTEMPTS": "2", "SMS_HIGH_MAX_ATTEMPTS": "3", "BULK_MAX_ATTEMPTS": "1"}), 0},
	}
	for _, tt := range tests {
		c, problems := load(t, "sms", tt.env)
		if problems != nil {
			t.Fatal(problems)
		}
		got := c.Warnings()
		if len(got) != tt.want || tt.want == 1 && !strings.HasPrefix(got[0], "HIGH_MAX_ATTEMPTS: ") {
			t.Errorf("%v: warnings %q, want %d", tt.env, got, tt.want)
		}
	}
}
