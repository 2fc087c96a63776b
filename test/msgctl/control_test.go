package msgctl_test

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// incident is a stage with a control topic.
type incident struct {
	*stage.Stage

	t     *testing.T
	topic string
}

func newIncident(t *testing.T) *incident {
	t.Helper()
	return incidentOn(t, stage.New(t, models.SMS, stage.Options{NoTopics: true}))
}

// incidentOn makes the control topic of a stage.
func incidentOn(t *testing.T, s *stage.Stage) *incident {
	t.Helper()
	in := &incident{s, t, s.Name + ".control"}
	if _, err := s.Admin.CreateTopic(s.Ctx, 1, 1, nil, in.topic); err != nil {
		t.Fatal(err)
	}
	stage.Eventually(t, func() string { // until the broker knows it
		ends, err := s.Admin.ListEndOffsets(s.Ctx, in.topic)
		if err = cmp.Or(err, ends.Error()); err != nil {
			return err.Error()
		}
		return ""
	})
	return in
}

// msgctl runs a command that knows the control topic. A word of args is one
// argument; an underscore stands for a space.
func (in *incident) msgctl(args string) result {
	in.t.Helper()
	words := strings.Fields(args)
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], "_", " ")
	}
	cmd := command(in.t.Context(), in.Stage, words...)
	cmd.Env = in.Env(map[string]string{"KAFKA_CONTROL_TOPIC": in.topic})
	return run(in.t, cmd, "")
}

func (in *incident) succeeds(args string) result {
	in.t.Helper()
	return succeeds(in.t, in.msgctl(args))
}

// records returns all of the control topic.
func (in *incident) records() []*kgo.Record {
	in.t.Helper()
	ends, err := in.Admin.ListEndOffsets(in.Ctx, in.topic)
	if err != nil || ends.Error() != nil {
		in.t.Fatal(err, ends.Error())
	}
	end, _ := ends.Lookup(in.topic, 0)
	var list []*kgo.Record
	if end.Offset > 0 {
		in.Follow(in.topic, func(r *kgo.Record) bool {
			list = append(list, r)
			return int64(len(list)) == end.Offset
		})
	}
	return list
}

// listed is an order as control list and history print it.
type listed struct {
	Kind, Action, Scope, Reason, By, Tenant string
	Until, At                               time.Time
	PerSecond                               float64 `json:"per_second"`
	InForce                                 bool    `json:"in_force"`
}

// list returns the orders that a command prints as JSON, by action and scope.
func (in *incident) list(args string) map[string]listed {
	in.t.Helper()
	r := in.succeeds(args + " -o json")
	var all []listed
	if err := json.Unmarshal([]byte(r.out), &all); err != nil {
		in.t.Fatalf("%s: %v: %s", args, err, r.out)
	}
	orders := map[string]listed{}
	for _, o := range all {
		orders[o.Action+" "+o.Scope] = o
	}
	return orders
}

// An order is in the topic when its command returns, and in force until it is
// lifted by exactly its scope.
func TestOrders(t *testing.T) {
	t.Parallel()
	in := newIncident(t)
	in.succeeds("pause --channel sms --for 1h --reason wrong_prices --by ops@here")
	in.succeeds("pause --channel sms --lane bulk --tenant acme --for 2d --reason asked_by_acme")
	in.succeeds("rate --channel email --per-second 2.5 --for 30m --reason slow")
	in.succeeds("cancel --channel sms --meta campaign=a/b --for 720h --reason wrong_link")
	in.succeeds("cancel " + idOther + " --reason by_mistake")
	for i, want := range []struct {
		key     string
		lasting time.Duration
	}{
		{"pause/sms", time.Hour},
		{"pause/sms/lane/bulk/tenant/acme", 48 * time.Hour},
		{"rate/email", 30 * time.Minute},
		{"cancel/sms/meta/campaign=a%2Fb", 720 * time.Hour},
		{"cancel/message/" + idOther, 720 * time.Hour},
	} {
		r := in.records()[i]
		o, err := models.DecodeOrder(r.Key, r.Value)
		if err != nil || string(r.Key) != want.key {
			t.Fatalf("order %d: %v: %s under %s, want %s", i, err, r.Value, r.Key, want.key)
		}
		if o.Until.Sub(o.At) != want.lasting || time.Since(o.At) > 5*time.Minute || !strings.Contains(o.By, "@") {
			t.Errorf("%s is of %s, at %v until %v, want it for %v from now on", want.key, o.By, o.At, o.Until, want.lasting)
		}
	}
	orders := in.list("control list")
	if o := orders["pause sms"]; len(orders) != 5 || o.Reason != "wrong prices" || o.By != "ops@here" || time.Until(o.Until) > time.Hour || o.At.IsZero() {
		t.Errorf("control list: %+v", orders)
	}
	if o := orders["rate email"]; o.PerSecond != 2.5 {
		t.Errorf("the rate is %+v", o)
	}
	in.succeeds("pause --channel sms --for 2h --reason longer")
	if o := in.list("control list")["pause sms"]; o.Reason != "longer" || time.Until(o.Until) < time.Hour {
		t.Errorf("of two orders of one scope and kind, the later does not count: %+v", o)
	}

	r := in.msgctl("resume --channel sms --tenant acme")
	if r.code != 1 || !strings.Contains(r.err, "msgctl resume --channel sms --lane bulk --tenant acme\n") || strings.Contains(r.err, "email") {
		t.Errorf("resume of what is not in force exits %d and says %s", r.code, r.err)
	}
	in.succeeds("resume --channel sms --lane bulk --tenant acme --reason is_over --by c@d")
	in.succeeds("resume --rate --channel email")
	in.succeeds("resume --cancel " + idOther)
	in.succeeds("resume --cancel --channel sms --meta campaign=a/b")
	if orders := in.list("control list"); len(orders) != 1 || orders["pause sms"].Reason != "longer" {
		t.Errorf("after four are lifted: %+v", orders)
	}
	last := in.list("control history")["pause sms/lane/bulk/tenant/acme"]
	if last.Kind != "lifted" || last.Reason != "is over" || last.By != "c@d" || last.InForce {
		t.Errorf("control history: %+v", last)
	}
}

// What is in force, and who ordered what, as a person reads it.
func TestControlTables(t *testing.T) {
	t.Parallel()
	in := newIncident(t)
	plain := func(text string) string {
		text = regexp.MustCompile(`\d+h\d+m\d+s`).ReplaceAllString(text, "LEFT")
		return timeless(text)
	}
	golden(t, in.Stage, "control-none", in.succeeds("control list").out)
	r := in.succeeds("pause --channel sms --tenant acme_ltd --for 7h --reason wrong_prices --by ops@here")
	golden(t, in.Stage, "control-pause", plain(r.out))
	in.succeeds("rate --channel sms --provider mock --per-second 20 --for 7h --reason slow --by ops@here")
	bad := &kgo.Record{Topic: in.topic, Key: []byte("pause/email"), Value: []byte(`{"action":"pause"}`)}
	if err := in.Client.ProduceSync(in.Ctx, bad).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r = in.succeeds("control list")
	golden(t, in.Stage, "control-list", plain(r.out))
	golden(t, in.Stage, "control-unreadable", r.err)
	golden(t, in.Stage, "control-resume", plain(in.succeeds("resume --channel sms --tenant acme_ltd --by ops@there").out))
	golden(t, in.Stage, "control-history", plain(in.succeeds("control history").out))
	if entries := in.list("control history --since 2020-01-01T00:00:00Z"); len(entries) != 2 {
		t.Errorf("history since 2020: %+v", entries)
	}
	if entries := in.list("control history --since 2999-01-01T00:00:00Z"); len(entries) != 0 {
		t.Errorf("history since 2999: %+v", entries)
	}
}

func TestResumeAll(t *testing.T) {
	t.Parallel()
	in := newIncident(t)
	if r := in.msgctl("resume --all"); r.code != 1 || !strings.Contains(r.err, "no order is in force") {
		t.Errorf("resume --all of nothing exits %d: %s", r.code, r.err)
	}
	in.succeeds("pause --channel sms --for 1h --reason r")
	in.succeeds("cancel --channel sms --lane bulk --for 1h --reason r")
	in.succeeds("pause --channel email --for 1h --reason r")
	in.succeeds("cancel " + idOther + " --reason r")
	in.succeeds("resume --all --channel sms")
	if orders := in.list("control list"); len(orders) != 2 {
		t.Errorf("after resume --all --channel sms: %+v, want those of email and of a message", orders)
	}
	in.succeeds("resume --all")
	if orders := in.list("control list"); len(orders) != 0 {
		t.Errorf("after resume --all: %+v", orders)
	}
}

// An order that is wrong is not written.
func TestWrongOrdersWriteNothing(t *testing.T) {
	t.Parallel()
	in := newIncident(t)
	for _, args := range []string{
		"pause --channel sms --for 1h", "pause --channel sms --for 1h --reason _", "pause --channel sms --reason r",
		"pause --channel sms --for 0s --reason r", "pause --channel sms --for 31d --reason r", "pause --channel fax --for 1h --reason r",
		"pause --channel sms --tenant a --meta k=v --for 1h --reason r", "pause --channel sms --tenant= --for 1h --reason r",
		"rate --channel sms --per-second 0 --for 1h --reason r", "cancel --channel sms --reason r", "cancel 7 --reason r",
		"cancel " + idOther + " --channel sms --reason r", "resume --channel sms --tenant a --provider mock", "resume --all --lane bulk",
	} {
		if r := in.msgctl(args); r.code != 2 || r.out != "" {
			t.Errorf("%s exits %d and says %s%s, want 2", args, r.code, r.out, r.err)
		}
	}
	if records := in.records(); len(records) > 0 {
		t.Errorf("%d records were written, the first under %s", len(records), records[0].Key)
	}
}

func TestOrdersWithoutATopic(t *testing.T) {
	t.Parallel()
	in := &incident{stage.New(t, models.SMS, stage.Options{NoTopics: true}), t, "no-such-topic"}
	for _, args := range []string{"pause --channel sms --for 1h --reason r", "resume --all", "control list", "control history"} {
		if r := in.msgctl(args); r.code != 1 || !strings.Contains(r.err, "no-such-topic does not exist") || !strings.Contains(r.err, "msgctl topics init") {
			t.Errorf("%s exits %d and says %s", args, r.code, r.err)
		}
	}
}

// A replay puts nothing back that was canceled since, or that would be at once.
func TestReplayOfWhatIsCanceled(t *testing.T) {
	t.Parallel()
	in := incidentOn(t, newStage(t, models.SMS, stage.Options{Partitions: 1}))
	w := in.Work(nil)
	letter := func(id, tenant, campaign string) {
		edits := stage.Hints("scenario", "permanent", "campaign", campaign)
		edits["tenant_id"] = tenant
		in.Put(id, stage.Request(models.SMS, id, edits))
	}
	letter(idOther, "acme", "spring")
	letter(idTwice, "other", "spring")
	letter(idPartial, "acme", "summer")
	letter(idRetried, "acme", "spring")
	in.DeadLetters(4)
	in.Events(4)
	w.Stop()
	// As its replay's event would be.
	ev := models.StatusEvent{MessageID: idRetried, Channel: models.SMS, EventType: models.EventCanceled, Error: "canceled: r", Timestamp: time.Now().UTC()}
	value, err := ev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	rec := &kgo.Record{Topic: in.Topic("status"), Key: []byte(idRetried), Value: value, Headers: []kgo.RecordHeader{
		{Key: models.HeaderSourceTopic, Value: []byte(in.Topic("request"))},
		{Key: models.HeaderSourcePartition, Value: []byte("0")},
		{Key: models.HeaderSourceOffset, Value: []byte("4")},
		{Key: models.HeaderSourceTimestamp, Value: []byte("0")},
	}}
	if err := in.Client.ProduceSync(in.Ctx, rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
	in.succeeds("cancel " + idPartial + " --reason by_mistake")
	in.succeeds("cancel --channel sms --tenant other --for 1h --reason asked")
	in.succeeds("cancel --channel sms --lane bulk --for 1h --reason r")
	in.succeeds("pause --channel sms --for 1h --reason r")
	r := in.succeeds("dlq replay --channel sms --dry-run --group a")
	for _, want := range []string{
		idOther + "  would be replayed as number 1\n", idTwice + "  skipped: a cancel is in force: asked\n",
		idPartial + "  skipped: a cancel is in force: by mistake\n", idRetried + "  skipped: canceled since, needs --force\n",
	} {
		if !strings.Contains(r.out, want) {
			t.Errorf("dlq replay --dry-run does not say %q:\n%s", want, r.out)
		}
	}
	in.succeeds("dlq replay --channel sms --group a")
	if got := replayed(t, in.Stage); len(got) != 1 || len(got[idOther]) != 1 {
		t.Errorf("put back are %v, want %s alone", got, idOther)
	}
	in.succeeds("resume --cancel --channel sms --tenant other")
	in.succeeds("dlq replay --channel sms --group b --force")
	got := replayed(t, in.Stage)
	if len(got[idTwice]) != 1 || len(got[idRetried]) != 1 || len(got[idPartial]) != 0 {
		t.Errorf("with --force, after one cancel is lifted, put back are %v, want all but %s", got, idPartial)
	}
}

// What the workers make of a cancel is an end to every tool.
func TestCanceledMessages(t *testing.T) {
	t.Parallel()
	in := incidentOn(t, newStage(t, models.SMS, stage.Options{Partitions: 1}))
	in.Work(map[string]string{"KAFKA_CONTROL_TOPIC": in.topic})
	in.succeeds("cancel --channel sms --tenant acme --for 1h --reason wrong_campaign")
	const send = "send sms --from +15551234567 --to +15557654321 --body x --wait --timeout 3m --id "
	r := in.msgctl(send + idOther + " --tenant acme")
	if r.code != 1 || !strings.Contains(r.err, "0 sent, 0 failed, 1 canceled, 0 without an outcome") || !strings.Contains(r.out, "canceled: wrong campaign") {
		t.Errorf("send --wait exits %d and says %s%s", r.code, r.out, r.err)
	}
	in.succeeds(send + idTwice + " --tenant other")
	r = in.succeeds("status show " + idOther)
	golden(t, in.Stage, "status-show-canceled", strings.ReplaceAll(timeless(r.out), idOther, "ID"))
	in.succeeds("cancel --channel sms --for 1h --reason all")
	if r = in.succeeds("load --channel sms --messages 30 --await"); !strings.Contains(r.out, "0 sent, 0 failed, 30 canceled, 0 lost, 0 doubled") {
		t.Errorf("load --await says %s", r.out)
	}
}
