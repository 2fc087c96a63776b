package msgctl_test

import (
	"path/filepath"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Exit code 2 is a wrong command line or setting, 1 is what did not succeed.
func TestMistakesOfNewUsers(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.Email, stage.Options{NoTopics: true})
	none := filepath.Join(t.TempDir(), "none.json")
	tests := []struct {
		args string
		code int
		says string
	}{
		{"send fax", 2, "want one of email, sms, whatsapp"},
		{"send email", 2, "give --from, --to and --body, or --file"},
		{"send email --file " + none, 1, "or - for standard input"},
		{"send email --file -", 1, "stdin:1: record: not valid JSON"},
		{"send email --from a@example.com --to b@example.com --body x", 1, "does not exist; msgctl topics init"},
		{"send email --from a@example.com --to b@example.com --body x --wait --timeout 0", 2, "--timeout"},
		{"validate fax -", 2, "want one of email, sms, whatsapp"},
		{"validate email " + none, 1, "or - for standard input"},
		{"validate email -", 1, "stdin:1: record: not valid JSON"},
		{"produce --channel fax", 2, "want one of email, sms, whatsapp"},
		{"produce --scenario sunny", 2, "want one of success"},
		{"produce", 1, "does not exist; msgctl topics init"},
		{"produce --brokers 127.0.0.1:1", 1, "is Kafka running there? set KAFKA_BROKERS or --brokers"},
		{"produce --brokers nonsense", 2, "KAFKA_BROKERS: want host:port"},
		{"produce --env-file " + none, 2, "--env-file"},
		{"load", 1, "does not exist; msgctl topics init"},
		{"load --size 1", 2, "--size"},
		{"load --duration soon", 2, "msgctl load --help"},
		{"load --await --topic x", 1, "topic x does not exist"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.args, none, "none"), func(t *testing.T) {
			t.Parallel()
			r := msgctl(t, s, "this is not JSON", strings.Fields(tt.args)...)
			if r.code != tt.code || !strings.Contains(r.err+r.out, tt.says) {
				t.Errorf("exits %d, want %d, and says %s, want %q in it", r.code, tt.code, r.err+r.out, tt.says)
			}
		})
	}
}
