package msgctl_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Every scenario does what it says.
func TestProduceMixed(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	// Far above the 300 ms of slow, which a busy machine makes longer.
	s.Work(map[string]string{"PROVIDER_TIMEOUT_SECONDS": "3"})
	r := succeeds(t, msgctl(t, s, "", "produce", "--channel", "sms", "--scenario", "mixed"))
	lines := strings.SplitAfter(r.out, "\n")
	slices.Sort(lines)
	golden(t, s, "produce-mixed", strings.Join(lines, ""))
	golden(t, s, "produce-mixed-summary", r.err)

	got := map[string]string{}
	events := s.Events(len(lines) - 1)
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		got[fields[1]] = stage.Sequence(events[fields[2]])
	}
	want := map[string]string{
		"success": "queued 0, attempt 1, sent 1", "slow": "queued 0, attempt 1, sent 1",
		"transient-once": "queued 0, attempt 1, retry 1, attempt 2, sent 2",
		"rate-limited":   "queued 0, attempt 1, retry 1, attempt 2, sent 2",
		"timeout-once":   "queued 0, attempt 1, retry 1, attempt 2, sent 2",
		"panic":          "queued 0, attempt 1, retry 1, attempt 2, sent 2",
		"transient":      "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, failed 3",
		"timeout":        "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, failed 3",
		"unknown":        "queued 0, attempt 1, retry 1, attempt 2, retry 2, attempt 3, failed 3",
		"permanent":      "queued 0, attempt 1, failed 1", "partial": "queued 0, attempt 1, failed 1",
		"invalid": "failed 0", "not-json": "failed 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events by scenario (-want +got):\n%s", diff)
	}
}

func TestProduceAsJSON(t *testing.T) {
	t.Parallel()
	for _, channel := range models.Channels() {
		s := stage.New(t, channel, stage.Options{})
		r := succeeds(t, msgctl(t, s, "", "produce", "--channel", string(channel), "--scenario", "rate_limited", "--count", "3", "--meta", "scenario_failures=2", "--output", "json"))
		ids := map[string]bool{}
		for line := range strings.Lines(r.out) {
			var made struct {
				MessageID string `json:"message_id"`
				Scenario  string
			}
			if err := json.Unmarshal([]byte(line), &made); err != nil || made.Scenario != "rate-limited" {
				t.Errorf("%v: %s", err, line)
			}
			ids[made.MessageID] = true
		}
		for _, rec := range requested(s, 3) {
			if !ids[string(rec.Key)] || !strings.Contains(string(rec.Value), `"scenario_failures":"2"`) {
				t.Errorf("%s: the request is %s", channel, rec.Value)
			}
		}
	}
}

func TestProduceInterrupted(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	r := interruptAt(t, command(s.Ctx, s, "produce", "-c", "sms", "-n", "100000", "--rate", "20"), printed("success"), nil)
	if r.code != 130 || !strings.Contains(r.err, " of 100000 requests produced to "+s.Topic("request")) {
		t.Errorf("after Ctrl-C produce exits %d, want 130, and says %s", r.code, r.err)
	}
	if printed := strings.Count(r.out, "\n"); int64(printed) != count(t, s) {
		t.Errorf("%d requests are printed, %d are in Kafka", printed, count(t, s))
	}
}

func TestProduceWrongTopic(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	r := msgctl(t, s, "", "produce", "-c", "sms", "--topic", "no.such.topic")
	if r.code != 1 || !strings.Contains(r.err, "topic no.such.topic does not exist; msgctl topics init") {
		t.Errorf("produce exits %d, want 1, and says %s", r.code, r.err)
	}
}
