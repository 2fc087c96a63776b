package msgctl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// What validate says and what the worker says of one request are the same.
func TestValidateAgreesWithTheWorker(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{})
	s.Work(map[string]string{"SMS_BODY_MAX": "4"})
	const id = "49787c3d-5ef1-4b31-88a1-0a42e53e1fb3"
	request := stage.Request(models.SMS, id, map[string]any{
		"from": "nobody", "to": []string{"+15557654321", "x"}, "meta": map[string]any{"a: b": 1}, "created_at": "yesterday",
	})
	stage.Eventually(t, func() string { // the topic is new
		r := &kgo.Record{Topic: s.Topic("request"), Key: []byte(id), Value: request}
		if err := s.Client.ProduceSync(s.Ctx, r).FirstErr(); err != nil {
			return err.Error()
		}
		return ""
	})
	ev := s.Events(1)[id]
	cmd := command(s.Ctx, s, "validate", "sms", "-")
	cmd.Env = append([]string{"SMS_BODY_MAX=4"}, os.Environ()...) // and no KAFKA_BROKERS
	r := run(t, cmd, string(request))
	if r.code != 1 || len(ev) != 1 {
		t.Fatalf("validate exits %d, want 1; the worker wrote %s", r.code, stage.Sequence(ev))
	}
	got := strings.Split(strings.ReplaceAll(strings.TrimSpace(r.out), "stdin:1: ", ""), "\n")
	if want := strings.TrimPrefix(ev[0].Error, "validation error: "); strings.Join(got, "; ") != want {
		t.Errorf("validate says %q, the worker %q", got, want)
	}
}

func TestValidateTheWorkersCases(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{NoTopics: true})
	dir := t.TempDir()
	for _, channel := range models.Channels() {
		path := filepath.Join(dir, string(channel))
		lines := append(stage.Request(channel, stage.NewID(), nil), '\n')
		if err := os.WriteFile(path, append(lines, stage.Request(channel, stage.NewID(), nil)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := msgctl(t, s, "", "validate", string(channel), path); r.code != 0 || r.out != "2 requests, all valid\n" {
			t.Errorf("validate %s exits %d: %s%s", channel, r.code, r.out, r.err)
		}
	}
}
