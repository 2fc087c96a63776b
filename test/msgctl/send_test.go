package msgctl_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// file writes a file for a command to read.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// requested reads the first n records of the request topic.
func requested(s *stage.Stage, n int) []*kgo.Record {
	var list []*kgo.Record
	s.Follow(s.Topic("request"), func(r *kgo.Record) bool {
		list = append(list, r)
		return len(list) >= n
	})
	return list
}

// count returns how many records the request topic has.
func count(t *testing.T, s *stage.Stage) int64 {
	t.Helper()
	ends, err := s.Admin.ListEndOffsets(s.Ctx, s.Topic("request"))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
	return sum
}

func TestSendFollowsAMessageToItsEnd(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{Partitions: 1})
	s.Work(nil)
	r := succeeds(t, msgctl(t, s, "", "send", "sms", "--from", "+15551234567", "--to", "+15557654321", "--body", "hello, world",
		"--tenant", "acme", "--trace-id", "t-1", "--meta", "scenario=transient", "--meta", "scenario_failures=1", "--meta", "a=b,c=d", "--wait"))
	golden(t, s, "send-wait", r.out)
	golden(t, s, "send-wait-summary", r.err)

	var got map[string]any
	rec := requested(s, 1)[0]
	if err := json.Unmarshal(rec.Value, &got); err != nil {
		t.Fatal(err)
	}
	if got["message_id"] != string(rec.Key) || got["channel"] != "sms" || got["tenant_id"] != "acme" || got["trace_id"] != "t-1" {
		t.Errorf("the request is %s under the key %s", rec.Value, rec.Key)
	}
	if meta, _ := got["meta"].(map[string]any); meta["a"] != "b,c=d" {
		t.Errorf("meta is %v, want a value with a comma as it is", meta)
	}
}

func TestSendFromAFile(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	s.Work(nil)
	const id = "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"
	path := file(t, `{"from":"noreply@example.com","to":["a@example.com"],"body":{"content":"one"},"x":1.50,"message_id":null}

{
  "message_id": "`+id+`",
  "from": "noreply@example.com",
  "to": ["b@example.com"],
  "meta": {"scenario": "permanent"},
  "body": {"content": "two {"}
}
`)
	r := msgctl(t, s, "", "send", "email", "--file", path, "--wait", "--output", "json")
	if r.code != 1 {
		t.Errorf("send exits %d, want 1, since one failed: %s", r.code, r.err)
	}
	var sent []struct {
		MessageID string `json:"message_id"`
		Outcome   string
		Events    []json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.out), &sent); err != nil || len(sent) != 2 {
		t.Fatalf("%v: %s", err, r.out)
	}
	if sent[0].Outcome != "sent" || sent[1].Outcome != "failed" || sent[1].MessageID != id || len(sent[0].Events) != 3 {
		t.Errorf("the outcomes are %s", r.out)
	}
	for _, rec := range requested(s, 2) {
		if string(rec.Key) != id && !strings.Contains(string(rec.Value), `"x":1.50`) {
			t.Errorf("a member was lost or rewritten: %s", rec.Value)
		}
	}
	if !strings.Contains(r.err, "2 of 2 requests produced: 1 sent, 1 failed, 0 without an outcome") {
		t.Errorf("the summary is %s", r.err)
	}
}

func TestSendSendsNothingThatIsNotValid(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	valid := `{"from":"+15551234567","to":["+15557654321"],"body":{"content":"x"}}`
	r := msgctl(t, s, valid+"\n"+`{"from":"nobody","to":["+15557654321","7"],"body":{}}`+"\n"+`{"from":`, "send", "sms", "--file", "-")
	if r.code != 1 || r.out != "" {
		t.Errorf("send exits %d, want 1, and prints %q", r.code, r.out)
	}
	golden(t, s, "send-invalid", r.err)
	r = msgctl(t, s, "", "send", "sms", "--from", "nobody", "--to", "+15557654321", "--id", "7")
	golden(t, s, "send-invalid-flags", r.err)
	if n := count(t, s); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestSendLargeBody(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{})
	body := file(t, strings.Repeat("0123456789abcde\n", 2<<20/16))
	for _, to := range []string{"a@example.com", "b@example.com"} {
		succeeds(t, msgctl(t, s, "", "send", "email", "--from", "noreply@example.com", "--to", to, "--cc", "c@example.com", "--bcc", "d@example.com",
			"--subject", "Large", "--html", "--body-file", body))
	}
	if got := requested(s, 1)[0]; len(got.Value) < 2<<20 {
		t.Errorf("the request has %d bytes", len(got.Value))
	}
}

func TestSendWhatsApp(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.WhatsApp, stage.Options{})
	s.Work(nil)
	for _, body := range [][]string{
		{"--template", "order_update", "--meta", "template.1=A12345"},
		{"--template", "one_time_code", "--meta", "template.1=123456", "--button", "0=123456", "--header", "image=https://example.com/a.png"},
		{"--media-type", "image/png", "--body", "https://example.com/a.png"},
		{"--body", "hello"},
	} {
		succeeds(t, msgctl(t, s, "", append([]string{"send", "whatsapp", "--from", "+15551234567", "--to", "+15557654321", "--wait"}, body...)...))
	}
}

func TestSendWithoutAnOutcome(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	args := []string{"send", "sms", "--from", "+15551234567", "--to", "+15557654321", "--body", "x", "--wait"}
	r := msgctl(t, s, "", append(args, "--timeout", "1s")...)
	if r.code != 1 {
		t.Errorf("send exits %d, want 1: %s", r.code, r.err)
	}
	golden(t, s, "send-no-outcome", r.err)

	r = interruptAt(t, command(s.Ctx, s, args...), printed("produced"), nil)
	if r.code != 130 {
		t.Errorf("after Ctrl-C send exits %d, want 130: %s", r.code, r.err)
	}
	golden(t, s, "send-interrupted", r.err)
}

func TestSendSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	args := []string{"send", "sms", "--from", "+15551234567", "--to", "+15557654321", "--body", "x"}
	r := msgctl(t, s, "", args...)
	if r.code != 1 {
		t.Errorf("without topics send exits %d, want 1", r.code)
	}
	golden(t, s, "send-no-topic", r.err)
	r = msgctl(t, s, "", append(args, "--brokers", "127.0.0.1:1")...)
	if r.code != 1 || !strings.Contains(r.err, "127.0.0.1:1") || !strings.Contains(r.err, "--brokers") {
		t.Errorf("without a broker send exits %d, want 1, and says %s", r.code, r.err)
	}
}
