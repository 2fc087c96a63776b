package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/tools/txtar"

	"messaging-worker/internal/models"

	"messaging-worker/test/stage"
)

// lifecycleCase is one file of testdata/cases: a request, and the events and
// the dead letter that must come of it on every channel it names.
type lifecycleCase struct {
	name     string
	channels []string
	edits    map[string]any
	raw      []byte // instead of edits: the record's exact value
	events   []string
	letter   string // empty: none
}

func readCases(t *testing.T) []lifecycleCase {
	t.Helper()
	files, err := filepath.Glob("../testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	var cases []lifecycleCase
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := lifecycleCase{name: strings.TrimSuffix(filepath.Base(file), ".txtar")}
		for line := range strings.Lines(string(a.Comment)) {
			if list, ok := strings.CutPrefix(line, "channels:"); ok {
				c.channels = strings.Fields(list)
			}
		}
		for _, f := range a.Files {
			text := strings.TrimSpace(string(f.Data))
			switch f.Name {
			case "edits.json":
				if err := json.Unmarshal(f.Data, &c.edits); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
			case "raw":
				c.raw = []byte(text)
			case "events":
				c.events = strings.Split(text, "\n")
			case "letter":
				c.letter = text
			default:
				t.Fatalf("%s: unknown part %s", file, f.Name)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// recipients are what the cases call A, B and C.
func recipients(channel models.Channel) map[string]string {
	if channel == models.Email {
		return map[string]string{"A": "a@example.com", "B": "b@example.com", "C": "c@example.com", "FROM": "noreply@example.com"}
	}
	return map[string]string{"A": "+15550000001", "B": "+15550000002", "C": "+15550000003", "FROM": "+15551234567"}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	cases := readCases(t)
	for _, channel := range models.Channels() {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			s := stage.New(t, channel, stage.Options{})
			s.Work(map[string]string{"MAX_ATTEMPTS": "3", "PROVIDER_TIMEOUT_SECONDS": "5"})
			ids, finals, letters := map[string]lifecycleCase{}, 0, 0
			for _, c := range cases {
				if !strings.Contains(strings.Join(c.channels, " "), string(channel)) {
					continue
				}
				id := stage.NewID()
				ids[id] = c
				value := c.raw
				if value == nil {
					value = stage.Request(channel, id, replaceAddresses(c.edits, channel))
				}
				s.Produce(&kgo.Record{Key: []byte(id), Value: value, Headers: []kgo.RecordHeader{
					{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
					{Key: "request-header", Value: []byte{0xff, 0}},
					{Key: "worker", Value: []byte("forged")},
				}})
				finals++
				if c.letter != "" {
					letters++
				}
			}
			events, dead := s.Events(finals), s.DeadLetters(letters)
			for id, c := range ids {
				t.Run(c.name, func(t *testing.T) {
					checkEvents(t, s, c, events[id])
					checkLetter(t, s, c, events[id], dead[id])
				})
			}
			s.Committed()
		})
	}
}

// replaceAddresses puts the channel's addresses in the place of A, B and C.
func replaceAddresses(edits map[string]any, channel models.Channel) map[string]any {
	b, _ := json.Marshal(edits)
	text := string(b)
	for name, address := range recipients(channel) {
		text = strings.ReplaceAll(text, `"`+name+`"`, `"`+address+`"`)
	}
	var out map[string]any
	_ = json.Unmarshal([]byte(text), &out)
	return out
}

// checkEvents compares each event with its line: type, attempt, and where the
// line has more, the response's status, the error, and key=value of its meta.
func checkEvents(t *testing.T, s *stage.Stage, c lifecycleCase, got []stage.Event) {
	t.Helper()
	if len(got) != len(c.events) {
		t.Fatalf("events %s, want %v", stage.Sequence(got), c.events)
	}
	for i, e := range got {
		want := strings.Split(c.events[i], " | ")
		if short := fmt.Sprintf("%s %d", e.EventType, e.Attempt); short != want[0] {
			t.Fatalf("event %d is %q, want %q", i, short, want[0])
		}
		for _, part := range want[1:] {
			checkPart(t, s, e, part)
		}
		if e.EventType == models.EventAttempt && e.ProviderResponse != nil {
			t.Error("an attempt has a provider_response")
		}
		if e.Channel != s.Channel || e.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || e.Timestamp.IsZero() {
			t.Errorf("event %d: channel %s, trace %q, at %v", i, e.Channel, e.TraceID, e.Timestamp)
		}
		r := e.Record
		if strconv.Itoa(int(r.Partition)) != stage.Header(r, "source-partition") || stage.Header(r, "source-topic") != s.Topic("request") ||
			stage.Header(r, "content-type") != "application/json" || !strings.HasPrefix(stage.Header(r, "worker"), string(s.Channel)+"-worker@") ||
			stage.Header(r, "traceparent") == "" || stage.Header(r, "source-timestamp") == "" || string(r.Key) != e.MessageID || stage.Header(r, "request-header") != "" {
			t.Errorf("event %d: partition %d, key %s, headers %v", i, r.Partition, r.Key, r.Headers)
		}
	}
}

func checkPart(t *testing.T, s *stage.Stage, e stage.Event, part string) {
	t.Helper()
	resp := models.ProviderResponse{}
	if e.ProviderResponse != nil {
		resp = *e.ProviderResponse
	}
	name, want, _ := strings.Cut(part, "=")
	for address, value := range recipients(s.Channel) {
		want = strings.ReplaceAll(want, "$"+address, value)
	}
	got := ""
	switch name {
	case "status":
		got = resp.Status
	case "error":
		if got = e.Error; strings.HasSuffix(want, "…") && strings.HasPrefix(got, strings.TrimSuffix(want, "…")) {
			got = want
		}
	case "next":
		got = strconv.FormatBool(resp.Meta["next_attempt_at"] != "")
	default:
		got = resp.Meta[name]
	}
	if got != want {
		t.Errorf("%s %d: %s is %q, want %q", e.EventType, e.Attempt, name, got, want)
	}
}

// checkLetter compares the dead letter with "type attempts" and its parts.
func checkLetter(t *testing.T, s *stage.Stage, c lifecycleCase, events []stage.Event, got []stage.DeadLetter) {
	t.Helper()
	if c.letter == "" {
		if len(got) > 0 {
			t.Errorf("a dead letter %s, want none", got[0].Record.Value)
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("%d dead letters, want one", len(got))
	}
	l, want := got[0], strings.Split(c.letter, " | ")
	if short := fmt.Sprintf("%s %d", l.FailureType, l.Attempts); short != want[0] {
		t.Errorf("dead letter %q, want %q", short, want[0])
	}
	for _, part := range want[1:] {
		name, value, _ := strings.Cut(part, "=")
		for address, v := range recipients(s.Channel) {
			value = strings.ReplaceAll(value, "$"+address, v)
		}
		if l.Meta[name] != value {
			t.Errorf("dead letter's meta[%s] = %q, want %q", name, l.Meta[name], value)
		}
	}
	failed := events[len(events)-1]
	if l.LastError != failed.Error || l.LastError == "" || l.LastAttemptAt.Before(l.FirstFailedAt) || l.FirstFailedAt.IsZero() {
		t.Errorf("last_error %q (event: %q), first %v, last %v", l.LastError, failed.Error, l.FirstFailedAt, l.LastAttemptAt)
	}
	if failed.Record.Timestamp.Before(l.Record.Timestamp) {
		t.Error("failed was written before its dead letter")
	}
	if stage.Header(l.Record, "request-header") != "\xff\x00" || stage.Header(l.Record, "worker") == "forged" || stage.Header(l.Record, "source-offset") == "" {
		t.Errorf("dead letter's headers %v", l.Record.Headers)
	}
}
