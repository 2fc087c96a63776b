package msgctl_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// Ids of dead letters that golden files hold.
const (
	idRefused = "aaaaaaaa-1111-4111-8111-111111111111"
	idSpent   = "aaaaaaaa-2222-4222-8222-222222222222"
	idInvalid = "aaaaaaaa-3333-4333-8333-333333333333"
)

// named replaces the ids by words.
func named(out string) string {
	return strings.NewReplacer(idRefused, "REFUSED", idSpent, "SPENT", idInvalid, "INVALID").Replace(out)
}

// graveyard has a worker make four dead letters, one after the other.
func graveyard(t *testing.T) *stage.Stage {
	t.Helper()
	s := newStage(t, models.SMS, stage.Options{})
	w := s.Work(map[string]string{"MAX_ATTEMPTS": "2"})
	refused := stage.Hints("scenario", "permanent", "campaign", "autumn")
	refused["tenant_id"], refused["trace_id"] = "acme", "trace-1"
	for i, r := range []struct {
		id    string
		value []byte
	}{
		{idRefused, stage.Request(models.SMS, idRefused, refused)},
		{idSpent, stage.Request(models.SMS, idSpent, stage.Hints("scenario", "rate_limited", "scenario_retry_after_ms", "1"))},
		{idInvalid, stage.Request(models.SMS, idInvalid, map[string]any{"to": []string{"12"}, "tenant_id": "acme"})},
		{"no-json", []byte("this is not a request")},
	} {
		s.Put(r.id, r.value)
		s.DeadLetters(i + 1)
	}
	w.Kill()
	return s
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := graveyard(t)
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"dlq-list", []string{"list"}},
		{"dlq-list-json", []string{"list", "--channel", "sms", "--limit", "1", "-o", "json"}},
		{"dlq-show", []string{"show", idRefused}},
		{"dlq-show-json", []string{"show", "no-json", "-o", "json"}},
		{"dlq-stats", []string{"stats"}},
		{"dlq-stats-json", []string{"stats", "--tenant", "acme", "-o", "json"}},
	} {
		r := succeeds(t, msgctl(t, s, "", append([]string{"dlq"}, tt.args...)...))
		host := regexp.MustCompile(`sms-worker@[\w.-]+`).ReplaceAllString(r.out, "sms-worker@HOST")
		stamp := regexp.MustCompile(`source-timestamp( = |","value":")\d+`).ReplaceAllString(host, "source-timestamp${1}STAMP")
		// A test at the hour's turn has two of them.
		whole := regexp.MustCompile(`(?s)(COUNT +HOUR\n|"by_hour":).*`).ReplaceAllString(stamp, "$1\n")
		golden(t, s, tt.name, named(timeless(whole)))
	}
	if r := msgctl(t, s, "", "dlq", "show", idOther); r.code != 1 || !strings.Contains(r.err, "all 12 partitions") {
		t.Errorf("dlq show of nobody exits %d, want 1 and where was looked: %s", r.code, r.err)
	}
}

func TestDeadLetterFilters(t *testing.T) {
	t.Parallel()
	s := graveyard(t)
	for filter, want := range map[string]string{
		"":                                "REFUSED SPENT INVALID no-json",
		"--type validation":               "INVALID no-json",
		"--type permanent --type unknown": "REFUSED",
		"--type permanent,transient":      "REFUSED SPENT",
		"--tenant acme":                   "REFUSED INVALID",
		"--code 429":                      "SPENT",
		"--code 42":                       "",
		"--error E.164":                   "INVALID",
		"--error HTTP --error e.164":      "REFUSED SPENT INVALID",
		"--meta campaign=autumn":          "REFUSED",
		"--meta scenario":                 "REFUSED SPENT",
		"--meta scenario=x":               "",
		"--message-id " + idSpent:         "SPENT",
		"--since 1h":                      "REFUSED SPENT INVALID no-json",
		"--until 1h":                      "",
		"--since 2099-01-01T00:00:00Z":    "",
		"--limit 2":                       "INVALID no-json",
		"--limit 0":                       "REFUSED SPENT INVALID no-json",
	} {
		args := append([]string{"dlq", "list", "-o", "json"}, strings.Fields(filter)...)
		r := msgctl(t, s, "", args...)
		var ids []string
		for line := range strings.Lines(r.out) {
			var l struct {
				ID string `json:"message_id"`
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			ids = append(ids, named(l.ID))
		}
		if got := strings.Join(ids, " "); r.code != 0 || got != want {
			t.Errorf("dlq list %s exits %d with %q, want %q: %s", filter, r.code, got, want, r.err)
		}
	}
}

// What is exported is the request, which a worker takes as it is.
func TestExport(t *testing.T) {
	t.Parallel()
	s := graveyard(t)
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	if r := msgctl(t, s, "", "dlq", "export", "--file", path); r.code != 0 || !strings.Contains(r.err, "4 dead letters") {
		t.Fatalf("dlq export exits %d: %s", r.code, r.err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]map[string]any{}
	for line := range strings.Lines(string(data)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		letter := m["dead_letter"].(map[string]any)
		lines[named(letter["message_id"].(string))] = m
	}
	if m := lines["REFUSED"]; m["channel"] != "sms" || m["tenant_id"] != "acme" || m["dead_letter"].(map[string]any)["failure_type"] != "permanent" {
		t.Errorf("exported %v, want the request and its failure", m)
	}
	if m := lines["no-json"]; len(m) != 1 || m["dead_letter"].(map[string]any)["original_base64"] != "dGhpcyBpcyBub3QgYSByZXF1ZXN0" {
		t.Errorf("exported %v, want the bytes", m)
	}
	r := msgctl(t, s, "", "dlq", "export", "--file", path, "--since", "never")
	if left, err := os.ReadFile(path); r.code != 2 || !bytes.Equal(left, data) {
		t.Errorf("dlq export of a wrong filter exits %d and leaves %d of %d bytes: %v", r.code, len(left), len(data), err)
	}
	if r := msgctl(t, s, "", "dlq", "export", "--code", "400"); r.code != 0 || strings.Count(r.out, "\n") != 1 {
		t.Errorf("dlq export to standard output exits %d with %s", r.code, r.out)
	}
	s.Work(nil)
	delete(lines["REFUSED"], "meta") // and with it the refusal
	edited, err := json.Marshal(lines["REFUSED"])
	if err != nil {
		t.Fatal(err)
	}
	s.Put(idRefused, edited)
	s.Follow(s.Topic("status"), isSent)
}
