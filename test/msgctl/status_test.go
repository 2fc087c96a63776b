package msgctl_test

import (
	"bufio"
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/scan"
	"messaging-worker/test/stage"
)

// timeless replaces what the clock decides, and the width of columns with it.
func timeless(out string) string {
	out = regexp.MustCompile(`\b(\d+m)?\d+(\.\d+)?(ms|s|µs)\b`).ReplaceAllString(out, "DURATION")
	out = regexp.MustCompile(` {2,}`).ReplaceAllString(out, "  ")
	return regexp.MustCompile(`(?m) +$`).ReplaceAllString(out, "")
}

// Ids that golden files may hold the partitions of.
const (
	idRetried = "11111111-1111-4111-8111-111111111111"
	idPartial = "22222222-2222-4222-8222-222222222222"
	idCRC     = "33333333-3333-4333-8333-333333333330"
	idOther   = "44444444-4444-4444-8444-444444444444"
	idTwice   = "55555555-5555-4555-8555-555555555555"
)

// newStage makes topics and waits until the broker knows them.
func newStage(t *testing.T, channel models.Channel, o stage.Options) *stage.Stage {
	t.Helper()
	s := stage.New(t, channel, o)
	stage.Eventually(t, func() string {
		ends, err := s.Admin.ListEndOffsets(s.Ctx, s.Topic("request"), s.Topic("status"), s.Topic("dlq"))
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return err.Error()
		}
		return ""
	})
	return s
}

func TestStatusShow(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	s.Work(nil)
	three := map[string]any{"to": []string{"+15550000001", "+15550000002", "+15550000003"}}
	request := func(id string, pairs ...string) []byte {
		edits := stage.Hints(pairs...)
		edits["to"] = three["to"]
		return stage.Request(models.SMS, id, edits)
	}
	s.Put(idRetried, request(idRetried, "scenario", "rate_limited", "scenario_failures", "1", "scenario_recipients", "1,2", "scenario_retry_after_ms", "20"))
	s.Put(idPartial, request(idPartial, "scenario", "partial"))
	// Records without a key go to the partition they name.
	crc := scan.CRC32([]byte(idCRC), 12)
	other := (scan.Murmur2([]byte(idOther), 12) + 1) % 12
	if other == scan.CRC32([]byte(idOther), 12) {
		other = (other + 1) % 12
	}
	s.Produce(
		&kgo.Record{Partition: crc, Value: request(idCRC)},
		&kgo.Record{Partition: other, Value: request(idOther)},
	)
	s.Put(idTwice, request(idTwice))
	s.Put(idTwice, request(idTwice, "scenario", "permanent"))
	s.Events(6)
	s.DeadLetters(2)
	for id, name := range map[string]string{
		idRetried: "status-show-retried", idPartial: "status-show-partial", idCRC: "status-show-crc32",
		idOther: "status-show-elsewhere", idTwice: "status-show-twice",
	} {
		r := succeeds(t, msgctl(t, s, "", "status", "show", id))
		golden(t, s, name, strings.ReplaceAll(timeless(r.out), id, "ID"))
	}
	var story struct {
		FoundBy    string `json:"found_by"`
		Deliveries []struct {
			Events []struct {
				Type string `json:"event_type"`
			} `json:"events"`
			Letter   map[string]any `json:"dead_letter"`
			Standing string         `json:"standing"`
		} `json:"deliveries"`
	}
	r := msgctl(t, s, "", "status", "show", idTwice, "--channel", "sms", "--all-partitions", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &story); err != nil || story.FoundBy != "all partitions" || len(story.Deliveries) != 2 {
		t.Fatalf("status show as JSON: %v: %s %s", err, r.out, r.err)
	}
	if d := story.Deliveries; len(d[0].Events) != 3 || d[0].Letter != nil || len(d[1].Events) != 3 || d[1].Letter == nil {
		t.Errorf("deliveries %+v, want the first sent and the second with its dead letter", d)
	}
}

func TestStatusShowUnknown(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{Partitions: 4})
	r := msgctl(t, s, "", "status", "show", idOther)
	if r.code != 1 || r.out != "" {
		t.Errorf("status show of an unknown message exits %d and says %s, want 1", r.code, r.out)
	}
	golden(t, s, "status-show-unknown", strings.ReplaceAll(r.err, idOther, "ID"))
}

// A worker that has stopped leaves a message that waits.
func TestStatusShowWaiting(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	w := s.Work(map[string]string{"BASE_BACKOFF_SECONDS": "100", "MAX_BACKOFF_SECONDS": "3600", "MAX_ATTEMPTS": "9"})
	s.Put(idRetried, stage.Request(models.SMS, idRetried, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "600000")))
	s.Follow(s.Topic("status"), func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"retry"`) })
	w.Kill()
	r := msgctl(t, s, "", "status", "show", idRetried)
	if r.code != 0 || !regexp.MustCompile(`(?m)^stands: waits for attempt 2, due at \S+Z, in \S+$`).MatchString(r.out) {
		t.Errorf("status show exits %d: %s%s", r.code, r.out, r.err)
	}
}

func TestStatusFollow(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	s.Work(nil)
	s.Put(idOther, stage.Request(models.SMS, idOther, nil))
	s.Put(idPartial, stage.Request(models.SMS, idPartial, stage.Hints("scenario", "permanent")))
	s.Events(2)
	for _, format := range []string{"table", "json"} {
		cmd := command(t.Context(), s, "status", "follow", "--from-start", "--message-id", idPartial, "-o", format)
		cmd.Dir = t.TempDir()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for scanner := bufio.NewScanner(out); len(lines) < 3 && scanner.Scan(); {
			lines = append(lines, scanner.Text())
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its code is looked at
		if code := cmd.ProcessState.ExitCode(); code != 130 {
			t.Errorf("status follow exits %d after Ctrl-C, want 130", code)
		}
		text := strings.ReplaceAll(timeless(strings.Join(lines, "\n")+"\n"), idPartial, "ID")
		golden(t, s, "status-follow-"+format, text)
	}
}

func TestStatusMistakes(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"status", "show"}, 2, "see msgctl status show --help"},
		{[]string{"status", "show", "x", "--since", "soon"}, 2, "RFC 3339"},
		{[]string{"status", "show", "x", "--channel", "fax"}, 2, "want one of"},
		{[]string{"status", "show", "x"}, 1, "msgctl topics init"},
		{[]string{"status", "follow", "--channel", "sms"}, 1, "msgctl topics init"},
		{[]string{"status", "follow", "--channel", "sms", "--brokers", "127.0.0.1:1"}, 1, "set KAFKA_BROKERS"},
		{[]string{"dlq", "list", "--type", "fatal"}, 2, "want one of permanent"},
		{[]string{"dlq", "list", "--since", "1h", "--until", "2h"}, 2, "not before until"},
		{[]string{"dlq", "list", "--meta", "=x"}, 2, "KEY=VALUE"},
		{[]string{"dlq", "list", "--limit", "-1"}, 2, "--limit"},
		{[]string{"dlq", "list", "--channel", "sms"}, 1, "msgctl topics init"},
		{[]string{"dlq", "show", "x"}, 1, "msgctl topics init"},
		{[]string{"dlq", "replay"}, 2, "--channel is required"},
		{[]string{"dlq", "replay", "--channel", "sms", "--set", "to"}, 2, "PATH=TEXT"},
		{[]string{"dlq", "replay", "--channel", "sms", "--rate", "-1"}, 2, "--rate"},
		{[]string{"dlq", "replay", "--channel", "sms", "--rate", "NaN"}, 2, "--rate"},
		{[]string{"dlq", "replay", "--channel", "sms"}, 1, "msgctl topics init"},
	} {
		r := msgctl(t, s, "", tt.args...)
		if r.code != tt.code || !strings.Contains(r.err, tt.says) || r.out != "" {
			t.Errorf("msgctl %s exits %d, want %d: %s%s", strings.Join(tt.args, " "), r.code, tt.code, r.out, r.err)
		}
	}
}
