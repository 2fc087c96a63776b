package msgctl_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

func isSent(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"event_type":"sent"`) }

// requests returns what lies on the request topic, in the order of each
// partition.
func requests(t *testing.T, s *stage.Stage) []*kgo.Record {
	t.Helper()
	ends, err := s.Admin.ListEndOffsets(s.Ctx, s.Topic("request"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, o := range ends[s.Topic("request")] {
		total += int(o.Offset)
	}
	var list []*kgo.Record
	s.Follow(s.Topic("request"), func(r *kgo.Record) bool {
		list = append(list, r)
		return len(list) >= total
	})
	return list
}

// replayed returns the requests that a replay put back, by message id.
func replayed(t *testing.T, s *stage.Stage) map[string][]*kgo.Record {
	t.Helper()
	byID := map[string][]*kgo.Record{}
	for _, r := range requests(t, s) {
		if stage.Header(r, "replay-batch") != "" {
			byID[string(r.Key)] = append(byID[string(r.Key)], r)
		}
	}
	return byID
}

func TestReplayOne(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	w := s.Work(nil)
	value := stage.Request(models.SMS, idRefused, stage.Hints("scenario", "permanent"))
	s.Produce(&kgo.Record{Key: []byte(idRefused), Value: value, Headers: []kgo.RecordHeader{
		{Key: "x", Value: []byte("1")},
		{Key: "worker", Value: []byte("mine")},
		{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")},
	}})
	s.DeadLetters(1)

	replay := []string{"dlq", "replay", "--channel", "sms"}
	r := msgctl(t, s, "", append(replay, "--dry-run")...)
	golden(t, s, "dlq-replay-dry-run", named(timeless(r.out)))
	if got := replayed(t, s); r.code != 0 || len(got) != 0 {
		t.Fatalf("a dry run exits %d and puts %d back: %s", r.code, len(got), r.err)
	}
	r = msgctl(t, s, "", replay...)
	golden(t, s, "dlq-replay", named(timeless(r.out)))
	got := replayed(t, s)[idRefused]
	if r.code != 0 || len(got) != 1 || string(got[0].Value) != string(value) {
		t.Fatalf("replay exits %d and puts %v back, want the very request: %s", r.code, got, r.err)
	}
	var headers []string
	for _, h := range got[0].Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	group := stage.Header(got[0], "replay-batch")
	want := []string{
		"traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x=1", "replay-count=1", "replay-batch=" + group,
	}
	if diff := cmp.Diff(want, headers); diff != "" || !strings.HasPrefix(group, "msgctl-replay-sms-") {
		t.Errorf("headers of the replayed request (-want +got):\n%s", diff)
	}

	// It fails again. The same command does not take it again, a new batch
	// does, until it was put back three times.
	s.DeadLetters(2)
	if r := msgctl(t, s, "", replay...); r.code != 0 || len(replayed(t, s)[idRefused]) != 1 {
		t.Errorf("the same command again exits %d: %s%s", r.code, r.out, r.err)
	}
	for n := 2; n <= 3; n++ {
		r := msgctl(t, s, "", append(replay, "--group", fmt.Sprint(s.Name, n))...)
		if got := replayed(t, s)[idRefused]; r.code != 0 || len(got) != n || stage.Header(got[n-1], "replay-count") != strconv.Itoa(n) {
			t.Fatalf("replay number %d exits %d: %s%s", n, r.code, r.out, r.err)
		}
		s.DeadLetters(n + 1)
	}
	r = msgctl(t, s, "", append(replay, "--group", s.Name+"4")...)
	golden(t, s, "dlq-replay-fourth", named(timeless(r.out)))
	if r.code != 1 || len(replayed(t, s)[idRefused]) != 3 {
		t.Errorf("a fourth replay exits %d, want 1: %s", r.code, r.err)
	}
	w.Kill()
	// What is refused for the want of force is there for it.
	edited := append(replay, "--set", "meta.scenario=success")
	if r := msgctl(t, s, "", edited...); r.code != 1 || !strings.Contains(r.out, "needs --force") {
		t.Errorf("a fourth replay, edited, exits %d, want 1: %s%s", r.code, r.out, r.err)
	}
	r = msgctl(t, s, "", append(edited, "--force")...)
	if r.code != 0 || len(replayed(t, s)[idRefused]) != 4 {
		t.Fatalf("a fourth replay with force exits %d: %s%s", r.code, r.out, r.err)
	}

	// And now that it is sent, nobody replays it any more.
	s.Work(nil)
	s.Follow(s.Topic("status"), isSent)
	r = msgctl(t, s, "", append(replay, "--group", s.Name+"6", "--force", "-o", "json")...)
	if r.code != 0 || !strings.Contains(r.out, `"skipped":{"sent since":4}`) {
		t.Errorf("a replay of what was sent since exits %d: %s%s", r.code, r.out, r.err)
	}
}

// A worker that dies between a dead letter and its failed event leaves the
// delivery to another one, which may write the letter anew, or get through.
func TestReplayOfWhatAnotherWorkerEnded(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	w := s.Work(nil)
	s.Put(idRefused, stage.Request(models.SMS, idRefused, stage.Hints("scenario", "permanent")))
	letter := s.DeadLetters(1)[idRefused][0].Record
	failed := s.Events(1)[idRefused][2].Record
	w.Kill()
	again := &kgo.Record{Topic: letter.Topic, Key: letter.Key, Value: letter.Value, Headers: letter.Headers}
	if err := s.Client.ProduceSync(s.Ctx, again).FirstErr(); err != nil {
		t.Fatal(err)
	}
	replay := []string{"dlq", "replay", "--channel", "sms", "-o", "json"}
	r := msgctl(t, s, "", append(replay, "--dry-run")...)
	if r.code != 0 || !strings.Contains(r.out, `"replayed":1,`) || !strings.Contains(r.out, `"skipped":{"written twice`) {
		t.Errorf("replay of a letter that was written twice exits %d: %s%s", r.code, r.out, r.err)
	}
	// The last event of the dead worker comes behind the other's sent.
	for _, event := range []string{"sent", "retry"} {
		rec := *failed
		rec.Value = bytes.Replace(rec.Value, []byte(`"event_type":"failed"`), fmt.Appendf(nil, `"event_type":%q`, event), 1)
		if err := s.Client.ProduceSync(s.Ctx, &rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r = msgctl(t, s, "", append(replay, "--force")...)
	if r.code != 0 || !strings.Contains(r.out, `"skipped":{"sent since":2}`) || len(replayed(t, s)) != 0 {
		t.Errorf("replay of what was sent in the end exits %d: %s%s", r.code, r.out, r.err)
	}
}

// inOrder sorts the lines of a replay: partitions have no order
// among them.
func inOrder(out string) string {
	lines := strings.SplitAfter(out, "\n")
	end := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "batch") })
	slices.Sort(lines[:max(end, 0)])
	return strings.Join(lines, "")
}

func TestReplayOfInvalidRequests(t *testing.T) {
	t.Parallel()
	s := graveyard(t)
	invalid := []string{"dlq", "replay", "--channel", "sms", "--type", "validation"}
	r := msgctl(t, s, "", invalid...)
	golden(t, s, "dlq-replay-validation", named(timeless(inOrder(r.out))))
	if r.code != 1 {
		t.Errorf("replay of invalid requests exits %d, want 1: %s", r.code, r.err)
	}
	r = msgctl(t, s, "", append(invalid, "--set", "subject=x")...)
	golden(t, s, "dlq-replay-still-invalid", named(timeless(inOrder(r.out))))
	if r.code != 1 || len(replayed(t, s)) != 0 {
		t.Errorf("replay of what stays invalid exits %d, want 1: %s", r.code, r.err)
	}
	r = msgctl(t, s, "", append(invalid, "--message-id", idInvalid, "--set", "to[0]=+15551234567")...)
	got := replayed(t, s)[idInvalid]
	if r.code != 0 || len(got) != 1 || !strings.Contains(string(got[0].Value), `"to":["+15551234567"]`) {
		t.Fatalf("replay of a mended request exits %d: %s%s", r.code, r.out, r.err)
	}
	s.Work(nil)
	s.Follow(s.Topic("status"), isSent)
}

func TestReplayAsksAndWarns(t *testing.T) {
	t.Parallel()
	s := newStage(t, models.SMS, stage.Options{})
	s.Work(nil)
	var records []*kgo.Record
	for range 101 {
		id := stage.NewID()
		records = append(records, &kgo.Record{Key: []byte(id), Value: stage.Request(models.SMS, id, stage.Hints("scenario", "permanent"))})
	}
	s.Produce(records...)
	s.DeadLetters(101)
	r := msgctl(t, s, "y\n", "dlq", "replay", "--channel", "sms")
	if r.code != 2 || !strings.Contains(r.err, "--yes") || len(replayed(t, s)) != 0 {
		t.Errorf("a large replay without a terminal exits %d, want 2: %s", r.code, r.err)
	}
	cmd := command(t.Context(), s, "dlq", "replay", "--channel", "sms", "--yes")
	cmd.Env = append(cmd.Env, "MESSAGE_MAX_AGE_SECONDS=60")
	r = run(t, cmd, "")
	if r.code != 0 || !strings.Contains(r.err, "101 are older than MESSAGE_MAX_AGE_SECONDS") || len(replayed(t, s)) != 101 {
		t.Errorf("a large replay with --yes exits %d: %s%s", r.code, r.out, r.err)
	}
	// A group with members is no place for progress: nothing is put back.
	r = msgctl(t, s, "", "dlq", "replay", "--channel", "sms", "--yes", "--force", "--group", s.Group())
	if r.code != 1 || !strings.Contains(r.err, "progress of batch") || len(replayed(t, s)) != 101 {
		t.Errorf("a replay in the workers' group exits %d, want 1: %s%s", r.code, r.out, r.err)
	}
}

// burial is one kind of dead letter in TestReplayInterrupted.
type burial struct {
	name  string
	many  int
	edits map[string]any
	want  string // whom the replay goes to; empty where none is wanted
}

func to(lists ...[]string) map[string]any {
	m := map[string]any{}
	for i, list := range lists {
		m[[]string{"to", "cc", "bcc"}[i]] = list
	}
	return m
}

// addressees writes a request's recipients.
func addressees(m map[string]any) string { return fmt.Sprint(m["to"], " ", m["cc"], " ", m["bcc"]) }

func burials() []burial {
	large := to([]string{"gone@x.org"})
	large["body"] = map[string]string{"content": stage.RandomHex(20000)}
	return []burial{
		{"refused", 250, to([]string{"gone@x.org"}), "[gone@x.org] <nil> <nil>"},
		{"spent", 150, to([]string{"later@x.org"}), "[later@x.org] <nil> <nil>"},
		{"later for some", 25, to([]string{"a@x.org", "later@x.org"}), "[later@x.org] <nil> <nil>"},
		{"commas", 75, to([]string{`"gone,b"@x.org`, "c@x.org", `"gone,\"e"@x.org`}), `["gone,b"@x.org "gone,\"e"@x.org] <nil> <nil>`},
		{
			"in all lists", 75, to([]string{"a@x.org", "gone.b@x.org"}, []string{"c@x.org", "gone.d@x.org"}, []string{"gone.e@x.org", "f@x.org"}),
			"[gone.b@x.org] [gone.d@x.org] [gone.e@x.org]",
		},
		{
			"cc", 75, to([]string{"a@x.org"}, []string{"gone.c@x.org", "d@x.org"}, []string{"gone.e@x.org"}),
			"[gone.c@x.org] [] [gone.e@x.org]",
		},
		{"bcc", 40, to([]string{"a@x.org"}, []string{"c@x.org"}, []string{"e@x.org", "gone.f@x.org"}), "[gone.f@x.org] [] []"},
		{"bccs", 10, to([]string{"a@x.org"}, nil, []string{"gone.e@x.org", "gone.f@x.org"}), ""},
		{"invalid", 150, map[string]any{"from": "nobody"}, "[user@example.com] <nil> <nil>"},
		{"omitted", 100, large, "[gone@x.org] <nil> <nil>"},
		{"sent", 50, to([]string{"gone@x.org"}), ""},
	}
}

// Every kind of dead letter, replayed by a batch that is interrupted in the
// middle: each request is put back once and to whom it must go.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	small := "6000"
	s := newStage(t, models.Email, stage.Options{DLQ: map[string]*string{"max.message.bytes": &small}})
	mail := startMailServer(t)
	w := s.Work(mail.settings())
	kinds, total := map[string]burial{}, 0
	var records, again []*kgo.Record
	for _, b := range burials() {
		total += b.many
		for range b.many {
			id := stage.NewID()
			kinds[id] = b
			records = append(records, &kgo.Record{Key: []byte(id), Value: stage.Request(models.Email, id, b.edits)})
			if b.name == "sent" {
				again = append(again, &kgo.Record{Key: []byte(id), Value: stage.Request(models.Email, id, nil)})
			}
		}
	}
	s.Produce(records...)
	s.DeadLetters(total)
	mail.healed.Store(true)
	s.Produce(again...)
	s.Events(total + len(again))

	args := []string{"dlq", "replay", "--channel", "email", "--yes", "-o", "json", "--set", "from=noreply@example.com"}
	// The rate leaves this test seconds to press Ctrl-C in. It is no part of
	// what names the batch.
	first := interrupted(t, s, 100, append(args, "--rate", "100"))
	second := msgctl(t, s, "", args...)
	if second.code != 1 {
		t.Errorf("the second run exits %d, want 1 for what it refuses: %s", second.code, second.err)
	}
	outcomes := map[string]int{}
	for line := range strings.Lines(first + second.out) {
		var v struct{ Outcome, Reason string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		outcomes[strings.TrimSuffix(v.Outcome+": "+v.Reason, ": ")]++
	}
	delete(outcomes, "") // the summaries
	want := map[string]int{
		"replayed": total - 60, "skipped: sent since": 50,
		"refused: only bcc recipients are left: none can stand in to without the others seeing it": 10,
	}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes of both runs (-want +got):\n%s", diff)
	}
	checkReplayed(t, s, kinds)
	third := msgctl(t, s, "", args...)
	if third.code != 0 || !strings.Contains(third.out, `"letters":0`) {
		t.Errorf("a third run exits %d, want nothing to do: %s", third.code, third.out)
	}
	s.Events(total + len(again) + total - 60)
	w.Stop()
	if n := len(requests(t, s)); n != total+len(again)+total-60 {
		t.Errorf("%d requests, want none replayed twice", n)
	}
}

// interrupted runs a replay until that many verdicts are printed and ends it with
// Ctrl-C.
func interrupted(t *testing.T, s *stage.Stage, after int, args []string) string {
	t.Helper()
	cmd := command(t.Context(), s, args...)
	cmd.Dir = t.TempDir()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	scanner := bufio.NewScanner(pipe)
	for n := 1; scanner.Scan(); n++ {
		out.WriteString(scanner.Text() + "\n")
		if n == after {
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // its code is looked at
	printed := strings.Count(out.String(), "\n")
	if code := cmd.ProcessState.ExitCode(); code != 130 || printed < after || printed > 950 {
		t.Fatalf("the interrupted replay exits %d, want 130 in the middle; it printed %d", code, printed)
	}
	return out.String()
}

func checkReplayed(t *testing.T, s *stage.Stage, kinds map[string]burial) {
	t.Helper()
	got := replayed(t, s)
	counts := map[string]int{}
	for id, b := range kinds {
		records := got[id]
		if b.want == "" {
			if len(records) != 0 {
				t.Errorf("%s, %s, was replayed", id, b.name)
			}
			continue
		}
		if len(records) != 1 {
			t.Errorf("%s, %s, was replayed %d times", id, b.name, len(records))
			continue
		}
		counts[b.name]++
		var m map[string]any
		if err := json.Unmarshal(records[0].Value, &m); err != nil {
			t.Fatal(err)
		}
		if addressees(m) != b.want {
			t.Errorf("%s goes to %s, want %s", b.name, addressees(m), b.want)
		}
		if m["from"] != "noreply@example.com" || stage.Header(records[0], "replay-count") != "1" {
			t.Errorf("%s is from %v with %v, want the edit and the mark", b.name, m["from"], records[0].Headers)
		}
	}
	for _, b := range burials() {
		if b.want != "" && counts[b.name] != b.many {
			t.Errorf("%d of %s were replayed, want %d", counts[b.name], b.name, b.many)
		}
	}
}

// A request that did not fit into its dead letter can be had only as long as
// it lies where it lay.
func TestReplayOfAnOriginalThatIsGone(t *testing.T) {
	t.Parallel()
	small := "6000"
	s := newStage(t, models.SMS, stage.Options{Partitions: 1, DLQ: map[string]*string{"max.message.bytes": &small}})
	s.Work(map[string]string{"MSG_MAX_BYTES": "5000"})
	s.Put(idRefused, stage.Request(models.SMS, idRefused, map[string]any{"note": stage.RandomHex(20000)}))
	s.DeadLetters(1)
	edit := []string{"dlq", "replay", "--channel", "sms", "--set", "note=short"}
	r := msgctl(t, s, "", append(edit, "--dry-run")...)
	if r.code != 0 || !strings.Contains(r.out, "would be replayed as number 1") {
		t.Errorf("a dry run with the original at its place exits %d: %s%s", r.code, r.out, r.err)
	}
	var gone kadm.Offsets
	gone.AddOffset(s.Topic("request"), 0, 1, -1)
	if _, err := s.Admin.DeleteRecords(s.Ctx, gone); err != nil {
		t.Fatal(err)
	}
	r = msgctl(t, s, "", edit...)
	golden(t, s, "dlq-replay-gone", named(timeless(r.out)))
	if r.code != 1 {
		t.Errorf("replay of what is gone exits %d, want 1: %s", r.code, r.err)
	}
}
