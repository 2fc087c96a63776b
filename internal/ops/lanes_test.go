package ops_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/test/kafka"
)

// tool returns the settings of the SMS channel as msgctl has them.
func tool(t *testing.T, settings map[string]string) *config.Config {
	t.Helper()
	c, err := config.LoadTool(func(name string) (string, bool) { v, ok := settings[name]; return v, ok }, "sms")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLanesByTopic(t *testing.T) {
	t.Parallel()
	c := tool(t, map[string]string{"KAFKA_BROKERS": "127.0.0.1:1", "KAFKA_SMS_REQUEST_TOPIC_BULK": "b", "KAFKA_SMS_STATUS_TOPIC": "messages.sms.request.high"})
	lanes := ops.LanesOf(c)
	for topic, want := range map[string]models.Lane{"b": models.LaneBulk, "messages.sms.request": models.LaneNormal, "old": models.LaneNormal, "": models.LaneNormal} {
		if got := lanes.Of(topic); got != want {
			t.Errorf("lane of %q = %s, want %s", topic, got, want)
		}
	}
	if l, err := ops.LaneOf(c, models.LaneBulk); err != nil || l.Kafka.RequestTopic != "b" || l.Kafka.Group != "sms-workers.bulk" {
		t.Errorf("LaneOf bulk = %+v, %v", l, err)
	}
	_, err := ops.LaneOf(c, models.LaneHigh)
	if err == nil || !strings.HasPrefix(err.Error(), "KAFKA_SMS_REQUEST_TOPIC_HIGH: is required") {
		t.Errorf("LaneOf a lane whose name the status topic has: %v", err)
	}
}

// A lane is in use where somebody has named it or its topic is there.
func TestLanesInUse(t *testing.T) {
	t.Parallel()
	broker := kafka.Embedded(t, kfake.SeedTopics(5, "r"), kfake.SeedTopics(3, "messages.sms.request.bulk"))
	for _, tt := range []struct {
		name string
		more map[string]string
		want map[string]int // partitions
	}{
		{"one is there", nil, map[string]int{"normal": 5, "bulk": 3}},
		{"one is named", map[string]string{"KAFKA_SMS_REQUEST_TOPIC_HIGH": "h", "KAFKA_SMS_REQUEST_TOPIC_BULK": "b"}, map[string]int{"high": 0, "normal": 5, "bulk": 0}},
		{"normal is not there", map[string]string{"KAFKA_SMS_REQUEST_TOPIC": "other"}, map[string]int{"normal": 0, "bulk": 3}},
	} {
		settings := map[string]string{"KAFKA_BROKERS": broker.ListenAddrs()[0], "KAFKA_SMS_REQUEST_TOPIC": "r"}
		maps.Copy(settings, tt.more)
		c := tool(t, settings)
		client, err := ops.Connect(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		lanes, err := ops.LanesInUse(t.Context(), client, c)
		got := map[string]int{}
		for _, l := range lanes {
			got[l.Lane] = l.Partitions
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: lanes (-want +got), %v:\n%s", tt.name, err, diff)
		}
	}
}
