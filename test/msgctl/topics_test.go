package msgctl_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// with runs msgctl with further settings: NAME=value.
func with(t *testing.T, s *stage.Stage, settings []string, args ...string) result {
	t.Helper()
	cmd := command(s.Ctx, s, args...)
	cmd.Env = append(append(cmd.Env, "KAFKA_TEMP_TOPIC="+s.Name+".check"), settings...)
	return run(t, cmd, "")
}

// steady replaces what a clock measured.
func steady(text string) string {
	return regexp.MustCompile(`\b\d[\d.]*m?s\b`).ReplaceAllString(text, "DURATION")
}

func real(t *testing.T) {
	t.Helper()
	if !stage.Suite.Broker.Real {
		t.Skip("needs Apache Kafka")
	}
}

// raw returns one setting of a topic as Kafka has it.
func raw(t *testing.T, s *stage.Stage, topic, setting string) string {
	t.Helper()
	configs, err := s.Admin.DescribeTopicConfigs(s.Ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range configs[0].Configs {
		if c.Key == setting {
			return c.MaybeValue()
		}
	}
	return ""
}

func alter(t *testing.T, s *stage.Stage, topic string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		responses, err := s.Admin.AlterTopicConfigs(s.Ctx, set(pairs[i], pairs[i+1]), topic)
		if err != nil || responses[0].Err != nil {
			t.Fatalf("%v %+v", err, responses)
		}
		stage.Eventually(t, func() string { // the brokers hear of it after they have answered
			if got := raw(t, s, topic, pairs[i]); got != pairs[i+1] {
				return pairs[i] + " is " + got
			}
			return ""
		})
	}
}

// What is missing is created as the settings want it, and a second run finds
// nothing to do.
func TestTopicsInit(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	r := succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms", "--dry-run"))
	golden(t, s, "topics-init-dry-run", r.out)
	r = with(t, s, nil, "topics", "list", "--channel", "sms")
	golden(t, s, "topics-list-missing", r.out)
	r = succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms"))
	golden(t, s, "topics-init", r.out)
	r = succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms"))
	golden(t, s, "topics-init-again", r.out)
	r = with(t, s, nil, "topics", "list", "--channel", "sms")
	golden(t, s, "topics-list", r.out)
	for setting, want := range map[string]string{"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "11615530", "min.insync.replicas": "1"} {
		if got := raw(t, s, s.Topic("dlq"), setting); got != want {
			t.Errorf("%s = %s, want %s", setting, got, want)
		}
	}
}

// What is too small is raised, what is larger stays, and partitions are added
// only to who asks for it.
func TestTopicsInitRaisesAndNeverReduces(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.Email, stage.Options{Partitions: 5, StatusPartitions: 2})
	alter(t, s, s.Topic("request"), "retention.ms", "900000000", "max.message.bytes", "20000000")
	alter(t, s, s.Topic("status"), "retention.ms", "60000", "cleanup.policy", "compact", "max.message.bytes", "2000")
	settings := []string{"KAFKA_TOPIC_PARTITIONS=6", "KAFKA_TOPIC_MIN_ISR=1"}
	before := with(t, s, settings, "topics", "init", "--channel", "email", "--dry-run")
	golden(t, s, "topics-init-differences-dry-run", before.out)
	if got := raw(t, s, s.Topic("status"), "max.message.bytes"); got != "2000" {
		t.Errorf("a dry run has changed max.message.bytes to %s", got)
	}
	r := succeeds(t, with(t, s, settings, "topics", "init", "--channel", "email"))
	golden(t, s, "topics-init-differences", r.out)
	for topic, want := range map[string]string{"request": "20000000", "status": "1048588", "dlq": "16777216"} {
		if got := raw(t, s, s.Topic(topic), "max.message.bytes"); got != want {
			t.Errorf("max.message.bytes of %s = %s, want %s", topic, got, want)
		}
	}
	if got := raw(t, s, s.Topic("status"), "retention.ms"); got != "900000000" {
		t.Errorf("the status topic keeps events for %s, want as long as requests", got)
	}
	if got := raw(t, s, s.Topic("status"), "cleanup.policy"); got != "compact" {
		t.Errorf("cleanup.policy was changed to %s", got)
	}
	r = succeeds(t, with(t, s, settings, "topics", "init", "--channel", "email", "--add-partitions", "-o", "json"))
	golden(t, s, "topics-init-add-partitions.json", r.out)
	stage.Eventually(t, func() string {
		details, err := s.Admin.ListTopics(s.Ctx, s.Topic("request"), s.Topic("status"), s.Topic("dlq"))
		for _, d := range details {
			if err != nil || len(d.Partitions) != 6 {
				return d.Topic + " has not 6 partitions"
			}
		}
		return ""
	})
}

// What the brokers refuse, and settings that cannot be, say what to do.
func TestTopicsInitRefused(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	for _, flags := range [][]string{{"--dry-run"}, nil} {
		r := with(t, s, []string{"KAFKA_TOPIC_REPLICATION=3"}, append([]string{"topics", "init", "--channel", "sms"}, flags...)...)
		if r.code != 1 || !strings.Contains(r.out, "refused") || !strings.Contains(r.out, "start more brokers, or lower KAFKA_TOPIC_REPLICATION") {
			t.Errorf("replication above the brokers: exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	r := with(t, s, []string{"KAFKA_TOPIC_MIN_ISR=2", "MSG_MAX_BYTES=99999999"}, "topics", "init", "--channel", "sms")
	if r.code != 2 || !strings.Contains(r.err, "KAFKA_TOPIC_MIN_ISR: 2 is above") || !strings.Contains(r.err, "lower MSG_MAX_BYTES") || r.out != "" {
		t.Errorf("settings that cannot be: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	r = with(t, s, []string{"KAFKA_SMS_REQUEST_TOPIC=no/name"}, "topics", "init", "--channel", "sms")
	if r.code != 2 || !strings.Contains(r.err, "KAFKA_SMS_REQUEST_TOPIC: has '/'") || r.out != "" {
		t.Errorf("an impossible name: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// The quota of clients without one is set, raised and never lowered. It is far
// above what the tests beside this one write.
func TestTopicsInitQuota(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	none := kadm.AlterClientQuotaEntry{
		Entity: kadm.ClientQuotaEntity{{Type: "client-id"}}, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Remove: true}},
	}
	t.Cleanup(func() { // or a second run would find it
		if _, err := s.Admin.AlterClientQuotas(s.Ctx, []kadm.AlterClientQuotaEntry{none}); err != nil {
			t.Error(err)
		}
		stage.Eventually(t, func() string {
			left, err := s.Admin.DescribeClientQuotas(s.Ctx, true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: kmsg.QuotasMatchTypeDefault}})
			if err != nil || len(left) > 0 {
				return fmt.Sprint(left, err)
			}
			return ""
		})
	})
	for _, step := range []struct{ bytes, flag, is, result string }{
		{"1000000000", "--dry-run", "none", "would be raised"},
		{"1000000000", "--dry-run=false", "none", "raised"},
		{"1000000000", "--dry-run=false", "1000000000", "as wanted"},
		{"1000000001", "--dry-run=false", "1000000000", "raised"},
		{"1000000000", "--dry-run=false", "1000000001", "kept"},
	} {
		r := with(t, s, []string{"KAFKA_PRODUCER_QUOTA_BYTES=" + step.bytes}, "topics", "init", "--channel", "sms", step.flag, "-o", "json")
		var changes []struct{ Setting, Is, Wanted, Result string }
		if err := json.Unmarshal([]byte(r.out), &changes); err != nil || r.code != 0 {
			t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.out, r.err)
		}
		last := changes[len(changes)-1]
		if last.Setting != "producer_byte_rate" || last.Is != step.is || last.Result != step.result {
			t.Errorf("%s bytes: %+v, want %s and %s", step.bytes, last, step.is, step.result)
		}
	}
}

// The dead letter of the largest legal request holds it whole, after topics
// init with nothing but the defaults.
func TestTopicsInitLeavesRoomForTheLargestDeadLetter(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.Email, stage.Options{NoTopics: true})
	succeeds(t, with(t, s, nil, "topics", "init", "--channel", "email"))
	value := make([]byte, 8<<20)
	_, _ = rand.Read(value)
	s.Produce(&kgo.Record{Key: bytes.Repeat([]byte("k"), models.MaxKeyBytes), Value: value, Headers: []kgo.RecordHeader{{Key: "x", Value: make([]byte, 8<<10)}}})
	s.Work(map[string]string{"LOG_LEVEL": "info"})
	for _, letters := range s.DeadLetters(1) {
		l := letters[0]
		if got, err := l.OriginalMessage.Bytes(); err != nil || !bytes.Equal(got, value) {
			t.Errorf("the original is not the request: %d bytes, %v, meta %v", len(got), err, l.Meta)
		}
		if len(l.Meta) > 0 || l.FailureType != models.FailureValidation {
			t.Errorf("a dead letter %s with meta %v", l.FailureType, l.Meta)
		}
	}
	s.Committed()
}
