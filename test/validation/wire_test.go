package validation_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/adapters/mock"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
	testkafka "messaging-worker/test/kafka"
)

// free is a lease that nobody disputes.
type free struct{}

func (free) AtMostOnce() bool                       { return false }
func (free) CommitBeforeCall(context.Context) error { return nil }
func (free) Await(context.Context) error            { return nil }
func (free) Yield(wait func() error) error          { return wait() }
func (free) Checkpoint(message.Resolved)            {}

// line is a worker without its consumer: engines on mocks, and the publisher
// on an embedded broker whose topics take records of at most 4,000 bytes.
type line struct {
	engines   map[models.Channel]*worker.Engine
	publisher *publisher.Publisher
	brokers   []string
	offset    atomic.Int64
}

func newLine(t *testing.T) *line {
	t.Helper()
	cluster := testkafka.Embedded(t, kfake.SeedTopics(3, "status", "dlq"), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "4000"}))
	p, err := publisher.New(publisher.Options{
		Kafka:       kafka.Options{Brokers: cluster.ListenAddrs(), ClientID: "worker", Compression: "none"},
		StatusTopic: "status", DLQTopic: "dlq", Host: "host", Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	m, err := mock.New(0, "")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{engines: map[models.Channel]*worker.Engine{}, publisher: p, brokers: cluster.ListenAddrs()}
	for channel, c := range channels() {
		l.engines[channel] = worker.New(m.Channel(c, time.Second), p, route.New(route.Options{Concurrency: 4}), worker.Options{
			Channel: channel, MaxAttempts: 3, Backoff: worker.Backoff{Base: time.Millisecond, Max: time.Millisecond},
			CallTimeout: 20 * time.Millisecond, RetryAfterMax: time.Millisecond, MaxAge: 100 * 365 * 24 * time.Hour, Log: zerolog.Nop(),
		})
	}
	return l
}

// handle takes a record through its life.
func (l *line) handle(t *testing.T, channel models.Channel, value []byte, progress message.Progress, headers ...models.Header) {
	t.Helper()
	n := l.offset.Add(1)
	rec := &models.Record{
		Topic: "requests", Partition: int32(n % 12), Offset: n, Timestamp: time.UnixMilli(1760607000123), Value: value, Headers: headers,
	}
	if err := l.engines[channel].Handle(lifetime.New(t.Context()), rec, progress, free{}); err != nil {
		t.Errorf("Handle = %v", err)
	}
}

// after is what the journal hands over after an event of an earlier owner.
func after(t *testing.T, event string) (p message.Progress) {
	t.Helper()
	ev, err := models.DecodeEvent([]byte(event), []models.Header(nil))
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(&ev)
	return p
}

// live lets messages of every kind live.
func (l *line) live(t *testing.T) {
	t.Helper()
	trace := models.Header{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")}
	for _, channel := range models.Channels() {
		to := map[models.Channel]string{models.Email: `["a@b.c","d@e.f","g@h.i"]`}[channel]
		if to == "" {
			to = `["+15550001","+15550002","+15550003"]`
		}
		for _, scenario := range []string{"success", "transient", "permanent", "rate_limited", "timeout", "unknown", "partial", "panic", "nonsense"} {
			for _, more := range []string{``, `,"scenario_failures":"1"`, `,"scenario_recipients":"0,1"`} {
				edits := edit{"meta": `{"scenario":"` + scenario + `"` + more + `}`, "tenant_id": `"acme"`}
				l.handle(t, channel, base(channel, edits), message.Progress{}, trace)
				edits["to"] = to
				l.handle(t, channel, base(channel, edits), message.Progress{}, models.Header{Key: "own", Value: nil})
			}
		}
		l.handle(t, channel, base(channel, edit{"created_at": `"1900-01-01T00:00:00Z"`}), message.Progress{})                                    // expired
		l.handle(t, channel, base(channel, nil), after(t, `{"event_type":"attempt","attempt":3}`))                                               // cut in its last attempt
		l.handle(t, channel, base(channel, nil), after(t, `{"event_type":"retry","attempt":2,"provider_response":{"meta":{"not_called":"1"}}}`)) // its second attempt was taken back
		l.handle(t, channel, base(channel, edit{"to": to}), after(t,
			`{"event_type":"retry","attempt":1,"provider_response":{"meta":{"open_recipients":"2","refused_recipients":"0","assumed_recipients":"1"}}}`))
		l.handle(t, channel, base(channel, edit{"x": quote(strings.Repeat("x", 5000)), "from": `"x"`}), message.Progress{})
		l.handle(t, channel, base(channel, edit{"from": `"x"`}), message.Progress{}, models.Header{Key: "fat", Value: []byte(strings.Repeat("x", 5000))})
		for _, r := range raws() {
			if len(r.value) < 1<<20 {
				l.handle(t, channel, []byte(r.value), message.Progress{})
			}
		}
		l.handle(t, channel, nil, message.Progress{})
	}
	if err := l.publisher.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// read returns all records of a topic.
func (l *line) read(t *testing.T, topic string) []*kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.brokers...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	var list []*kgo.Record
	for len(list) < total {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		list = append(list, fetches.Records()...)
	}
	return list
}

// What workers write, in every way that a message can go, is what the schemas
// say: payload, key and headers.
func TestWhatWorkersWriteIsValid(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.live(t)
	tried := map[string]bool{}
	for topic, m := range map[string]struct{ payload, headers string }{
		"status": {"status-event.schema.json", "eventHeaders"}, "dlq": {"dead-letter.schema.json", "letterHeaders"},
	} {
		payload := compile(t, m.payload)
		headers := compile(t, "../asyncapi.json#/components/schemas/"+m.headers)
		variants := map[string]int{}
		for _, r := range l.read(t, topic) {
			if err := against(payload, r.Value); err != nil {
				t.Errorf("%s: %v: %.1500s", topic, err, r.Value)
			}
			if err := headers.Validate(headersOf(r)); err != nil {
				t.Errorf("%s: headers %v: %v", topic, headersOf(r), err)
			}
			kind := variant(t, r)
			if variants[kind]++; variants[kind] == 1 {
				refuses(t, payload, topic+" "+kind, r.Value, tried)
			}
		}
		t.Logf("%s: %d variants: %v", topic, len(variants), variants)
		for _, want := range wanted()[topic] {
			if variants[want] == 0 {
				t.Errorf("%s: no record of the kind %q: %v", topic, want, variants)
			}
		}
	}
	for member := range wrongValues() {
		if !tried[member] {
			t.Errorf("no record has a %s to spoil", member)
		}
	}
}

// wrongValues are values of members that no worker writes; a nil is a member
// that is left out.
func wrongValues() map[string][]any {
	long := strings.Repeat("x", 4097)
	return map[string][]any{
		"message_id": {nil, "", 7}, "channel": {nil, "fax", 7}, "event_type": {nil, "delivered", 7}, "attempt": {-1, 101, 0.5, "1"},
		"timestamp": {nil, "2025-10-16", "2025-10-16T09:30:00+02:00", 7}, "trace_id": {"", long, 7}, "error": {"http 429", "transient error: " + long, 7},
		"original_message": {nil, "no base64", "YQ", []any{}, 7}, "attempts": {nil, 0, 101, "1"}, "failure_type": {nil, "other", 7},
		"last_error": {"http 429", "transient error: " + long, 7}, "first_failed_at": {nil, "today", 7}, "last_attempt_at": {nil, "today", 7},
		"meta": {map[string]any{"a": 1}, map[string]any{"a": long}, "a"},
		"provider_response": {
			"ok",
			map[string]any{},
			map[string]any{"status": "fine"},
			map[string]any{"status": "ok", "code": "1"},
			map[string]any{"status": "ok", "code": 0},
			map[string]any{"status": "ok", "message": long},
			map[string]any{"status": "ok", "raw": long},
			map[string]any{"status": "ok", "meta": map[string]any{"a": 1}},
			map[string]any{"status": "ok", "meta": map[string]any{"next_attempt_at": "soon"}},
			map[string]any{"status": "ok", "meta": map[string]any{"open_recipients": "a"}},
		},
	}
}

// refuses holds a schema against what no worker writes: a record without one
// of the members that the specification requires, or with a wrong value. It
// notes the members that it has tried.
func refuses(t *testing.T, schema *jsonschema.Schema, name string, value []byte, tried map[string]bool) {
	t.Helper()
	for member, values := range wrongValues() {
		for _, v := range values {
			var record map[string]any
			if err := json.Unmarshal(value, &record); err != nil {
				t.Fatal(err)
			}
			if _, there := record[member]; !there {
				break
			}
			tried[member] = true
			if record[member] = v; v == nil {
				delete(record, member)
			}
			spoiled, err := json.Marshal(record)
			if err != nil {
				t.Fatal(err)
			}
			if against(schema, spoiled) == nil {
				t.Errorf("%s: %s may be %.60v", name, member, v)
			}
		}
	}
	if against(schema, []byte(`[]`)) == nil {
		t.Errorf("%s: may be a list", name)
	}
}

func headersOf(r *kgo.Record) map[string]any {
	m := map[string]any{}
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

// variant says of which kind a record is, in a word or two, and holds its key
// against its payload.
func variant(t *testing.T, r *kgo.Record) string {
	t.Helper()
	var p struct {
		ID       string          `json:"message_id"`
		Event    string          `json:"event_type"`
		Failure  string          `json:"failure_type"`
		Original json.RawMessage `json:"original_message"`
		Meta     map[string]string
		Response *struct{ Status string } `json:"provider_response"`
	}
	if err := json.Unmarshal(r.Value, &p); err != nil {
		t.Fatal(err)
	}
	if string(r.Key) != p.ID {
		t.Errorf("key %q of message %q", r.Key, p.ID)
	}
	switch {
	case p.Failure == "" && p.Response != nil:
		return p.Event + " " + p.Response.Status
	case p.Failure == "":
		return p.Event
	case p.Meta[models.MetaOriginalOmitted] != "":
		return strings.TrimSpace(p.Failure + " omitted " + p.Meta[models.MetaHeadersOmitted])
	case p.Original[0] == '{':
		return p.Failure + " object"
	case string(p.Original) == `""`:
		return p.Failure + " empty"
	default:
		var text string
		_ = json.Unmarshal(p.Original, &text)
		if _, err := base64.StdEncoding.Strict().DecodeString(text); err != nil {
			t.Errorf("original: %v", err)
		}
		return p.Failure + " base64"
	}
}

func wanted() map[string][]string {
	return map[string][]string{
		"status": {
			"queued", "attempt", "failed", "sent ok", "retry rate_limited", "retry unavailable", "retry timeout", "retry unknown", "retry partial",
			"failed rejected", "failed partial", "failed rate_limited", "failed unknown",
		},
		"dlq": {
			"transient object", "permanent object", "unknown object", "validation object", "validation base64", "validation empty",
			"validation omitted", "validation omitted true",
		},
	}
}

// Whatever a worker may write is in the schemas, so that a new member does
// not stay untold.
func TestSchemasKnowEveryMember(t *testing.T) {
	t.Parallel()
	status, letter := document(t, schemas+"status-event.schema.json"), document(t, schemas+"dead-letter.schema.json")
	ev := reflect.TypeFor[models.StatusEvent]()
	known(t, ev, status)
	response, _ := ev.FieldByName("ProviderResponse")
	known(t, response.Type.Elem(), status["properties"].(map[string]any)["provider_response"].(map[string]any))
	names := letter["properties"].(map[string]any)
	rec := models.DLQRecord{
		Attempts: 1, LastError: "x", TraceID: "t", Meta: map[string]string{"a": "b"}, FirstFailedAt: time.Now(), LastAttemptAt: time.Now(),
	}
	data, err := rec.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for name := range members {
		if names[name] == nil {
			t.Errorf("dead-letter.schema.json does not know %s", name)
		}
	}
	if len(members) != len(names) {
		t.Errorf("dead letters have %d members, the schema %d", len(members), len(names))
	}
}

func known(t *testing.T, typ reflect.Type, schema map[string]any) {
	t.Helper()
	names := schema["properties"].(map[string]any)
	n := 0
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		n++
		if names[name] == nil {
			t.Errorf("the schema does not know %s of %v", name, typ)
		}
	}
	if n != len(names) {
		t.Errorf("%v has %d members, its schema %d", typ, n, len(names))
	}
}
