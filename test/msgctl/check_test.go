package msgctl_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/test/kafka"
	"messaging-worker/test/stage"
)

func set(name, value string) []kadm.AlterConfig {
	return []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}
}

// verdicts reads a report in JSON: "verdict seen" by the name of the check.
func verdicts(t *testing.T, r result) map[string]string {
	t.Helper()
	var list []struct{ Channel, Check, Verdict, Seen, Advice string }
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatalf("%v: exit code %d %s%s", err, r.code, r.out, r.err)
	}
	found := map[string]string{}
	failed := false
	for _, f := range list {
		found[f.Check] = f.Verdict + " " + f.Seen
		failed = failed || f.Verdict == "FAIL"
		if (f.Verdict == "FAIL" || f.Verdict == "warn") && f.Advice == "" {
			t.Errorf("%s does not say what to do about: %s", f.Check, f.Seen)
		}
	}
	if want := map[bool]int{true: 1, false: 0}[failed]; r.code != want {
		t.Errorf("exit code %d, want %d: %s", r.code, want, r.err)
	}
	return found
}

// expect compares the beginnings of verdicts.
func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, begin := range want {
		if !strings.HasPrefix(got[name], begin) {
			t.Errorf("%s: %s, want %s", name, got[name], begin)
		}
	}
}

func TestCheckAfterTopicsInit(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms"))
	r := with(t, s, nil, "check", "--channel", "sms")
	if r.code != 0 || r.err != "" {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	golden(t, s, "check", steady(r.out))

	s.PutMany(3)
	expect(t, verdicts(t, with(t, s, nil, "check", "--channel", "sms", "-o", "json")), map[string]string{
		"group": "warn no worker has joined " + s.Group() + " yet, 3 requests waiting",
	})
	w := s.Work(nil)
	w.WaitReady(200)
	s.Committed()
	expect(t, verdicts(t, with(t, s, nil, "check", "--channel", "sms", "-o", "json")), map[string]string{
		"group": "ok " + s.Group() + ": Stable, 1 worker, 0 requests waiting",
	})
}

// Whatever is wrong is found in one run.
func TestCheckFindsWhatIsWrongWithTopics(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.Email, stage.Options{Partitions: 3, StatusPartitions: 2})
	alter(t, s, s.Topic("request"), "max.message.bytes", "6000000", "retention.ms", "900000000")
	alter(t, s, s.Topic("status"), "cleanup.policy", "compact", "retention.ms", "60000", "max.message.bytes", "2000", "min.insync.replicas", "2")
	alter(t, s, s.Topic("dlq"), "max.message.bytes", "1000000")
	r := with(t, s, nil, "check", "--channel", "email")
	if r.code != 1 {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	golden(t, s, "check-topics-wrong", steady(r.out))
	verdicts(t, with(t, s, nil, "check", "--channel", "email", "-o", "json"))
}

func TestCheckWithoutTopics(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.WhatsApp, stage.Options{NoTopics: true})
	r := with(t, s, nil, "check", "--channel", "whatsapp")
	if r.code != 1 {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	golden(t, s, "check-no-topics", steady(r.out))
}

// The provider is asked as a worker asks it, and its settings are looked at,
// Kafka or no Kafka.
func TestCheckProvider(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Brokers: []string{"127.0.0.1:1"}, NoTopics: true})
	const sid, token = "AC00000000000000000000000000000001", "fake-token"
	server := httptest.NewServer(fake.Twilio(sid, sid, token))
	t.Cleanup(server.Close)
	twilio := func(url, token string) []string {
		return []string{"SMS_PROVIDER=twilio", "TWILIO_ACCOUNT_SID=" + sid, "TWILIO_AUTH_TOKEN=" + token, "TWILIO_BASE_URL=" + url}
	}
	tests := []struct {
		name     string
		settings []string
		want     map[string]string
	}{
		{"mock", nil, map[string]string{"settings": "ok", "provider": "ok mock has nothing to ask"}},
		{"well", twilio(server.URL, token), map[string]string{"settings": "ok", "provider": "ok twilio takes our credentials"}},
		{"wrong token", twilio(server.URL, "wrong-hunter2"), map[string]string{"settings": "ok", "provider": "FAIL twilio: transient error: http 401"}},
		{"not there", twilio("http://127.0.0.1:1", token), map[string]string{"settings": "ok", "provider": "FAIL twilio: transient error: connection refused"}},
		{"no credentials", []string{"SMS_PROVIDER=twilio"}, map[string]string{"settings": "FAIL TWILIO_ACCOUNT_SID: is required", "provider": "skipped"}},
	}
	for _, tt := range tests {
		r := with(t, s, tt.settings, "check", "--channel", "sms", "-o", "json")
		got := verdicts(t, r)
		expect(t, got, tt.want)
		expect(t, got, map[string]string{"connection": "FAIL no broker of 127.0.0.1:1 answers", "topics": "skipped no connection", "group": "skipped no connection"})
		if strings.Contains(r.out+r.err, "hunter2") {
			t.Errorf("%s: a secret is shown: %s%s", tt.name, r.out, r.err)
		}
	}
}

const kafkaPassword = "kafka-hunter2"

// guarded starts a broker that lets in by password, and a worker to nothing.
func guarded(t *testing.T) *kafka.Cluster {
	t.Helper()
	return kafka.Start(t, kafka.Options{Listeners: []string{"GUARDED"}, Properties: map[string]string{
		"listener.security.protocol.map":                "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
		"listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
		"listener.name.guarded.plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_worker="` + kafkaPassword + `";`,
		"authorizer.class.name":                         "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                   "User:ANONYMOUS",
	}})
}

// grant returns once the broker goes by the permission: the controller answers
// before the broker has heard of it.
func grant(t *testing.T, s *stage.Stage, b *kadm.ACLBuilder) {
	t.Helper()
	b = b.Allow("User:worker").AllowHosts().ResourcePatternType(kadm.ACLPatternLiteral)
	results, err := s.Admin.CreateACLs(s.Ctx, b)
	for _, r := range results {
		if err == nil {
			err = r.Err
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	stage.Eventually(t, func() string {
		described, err := s.Admin.DescribeACLs(s.Ctx, b)
		if err != nil {
			return err.Error()
		}
		for _, d := range described {
			if d.Err != nil || len(d.Described) == 0 {
				return fmt.Sprintf("%v %v of %v is not known yet: %v", d.Type, d.Name, d.Operation, d.Err)
			}
		}
		return ""
	})
}

// A worker's credentials and permissions, one after the other set right.
func TestCheckSecurity(t *testing.T) {
	t.Parallel()
	c := guarded(t)
	if !c.Controllable() {
		t.Skip("a foreign cluster has no listener for this")
	}
	s := stage.New(t, models.SMS, stage.Options{Brokers: c.Brokers(), NoTopics: true})
	succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms"))
	worker := func(password string) []string {
		return []string{
			"KAFKA_BROKERS=" + c.Listener("GUARDED"), "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM=PLAIN",
			"KAFKA_SASL_USERNAME=worker", "KAFKA_SASL_PASSWORD=" + password,
		}
	}
	check := func(name string, settings []string) {
		t.Helper()
		r := with(t, s, settings, "check", "--channel", "sms")
		golden(t, s, "check-security-"+name, steady(r.out))
		if strings.Contains(r.out+r.err, "hunter2") {
			t.Errorf("%s: a secret is shown: %s%s", name, r.out, r.err)
		}
		verdicts(t, with(t, s, settings, "check", "--channel", "sms", "-o", "json"))
	}
	check("no-credentials", []string{"KAFKA_BROKERS=" + c.Listener("GUARDED")})
	check("wrong-mechanism", append(worker(kafkaPassword), "KAFKA_SASL_MECHANISM=SCRAM-SHA-512"))
	check("wrong-password", worker("wrong-hunter2"))
	check("no-tls-there", append(worker(kafkaPassword), "KAFKA_SECURITY_PROTOCOL=SASL_SSL"))
	check("no-permission", worker(kafkaPassword))

	r := with(t, s, append(worker(kafkaPassword), "KAFKA_SMS_DLQ_TOPIC="+s.Name+".other"), "topics", "init", "--channel", "sms")
	if r.code != 1 {
		t.Errorf("topics init without permissions exits %d", r.code)
	}
	golden(t, s, "topics-init-no-permission", r.out)

	grant(t, s, kadm.NewACLs().Topics(s.Topic("request")).Operations(kadm.OpRead, kadm.OpDescribeConfigs))
	grant(t, s, kadm.NewACLs().Topics(s.Topic("status")).Operations(kadm.OpRead, kadm.OpWrite))
	grant(t, s, kadm.NewACLs().Topics(s.Topic("dlq")).Operations(kadm.OpRead))
	check("some-permissions", worker(kafkaPassword))
	grant(t, s, kadm.NewACLs().Topics(s.Topic("status")).Operations(kadm.OpDescribeConfigs))
	grant(t, s, kadm.NewACLs().Topics(s.Topic("dlq")).Operations(kadm.OpWrite))
	grant(t, s, kadm.NewACLs().Groups(s.Group()).Operations(kadm.OpRead))
	check("all-a-worker-needs", worker(kafkaPassword))
}

// A topic that takes no record is reported with the reason.
func TestCheckRoundTripRefused(t *testing.T) {
	t.Parallel()
	real(t)
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	succeeds(t, with(t, s, nil, "topics", "init", "--channel", "sms"))
	alter(t, s, s.Name+".check", "max.message.bytes", "50")
	expect(t, verdicts(t, with(t, s, nil, "check", "--channel", "sms", "-o", "json")), map[string]string{
		"round trip": "FAIL topic " + s.Name + ".check takes no record: MESSAGE_TOO_LARGE", "topics": "ok", "group": "ok",
	})
}
