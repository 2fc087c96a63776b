package validation_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
)

const asyncAPI = "../../api/asyncapi.json"

// object is a JSON object.
type object = map[string]any

// at returns what lies at a path of names.
func at(o object, names ...string) object {
	for _, name := range names {
		o, _ = o[name].(object)
	}
	return o
}

func TestAsyncAPIIsValid(t *testing.T) {
	t.Parallel()
	s, err := jsonschema.NewCompiler().Compile("testdata/asyncapi/3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(document(t, asyncAPI)); err != nil {
		t.Error(err)
	}
	if err := s.Validate(object{"asyncapi": "3.0.0"}); err == nil {
		t.Error("the schema of AsyncAPI accepts a document without info")
	}
}

func TestAsyncAPIReferencesResolve(t *testing.T) {
	t.Parallel()
	doc := document(t, asyncAPI)
	n := 0
	eachRef(doc, func(ref string) {
		n++
		if pointer, ok := strings.CutPrefix(ref, "#/"); ok {
			if at(doc, strings.Split(pointer, "/")...) == nil {
				t.Errorf("%s leads nowhere", ref)
			}
			return
		}
		compile(t, "../"+ref)
	})
	if n == 0 {
		t.Error("no references")
	}
}

// eachRef calls f for each reference below v.
func eachRef(v any, f func(ref string)) {
	switch v := v.(type) {
	case object:
		for name, member := range v {
			if text, ok := member.(string); ok && name == "$ref" {
				f(text)
			}
			eachRef(member, f)
		}
	case []any:
		for _, item := range v {
			eachRef(item, f)
		}
	}
}

// Each channel has a request topic for each lane and two of answers, named as
// everywhere else, and all together the control topic; the worker has one
// operation on each.
func TestAsyncAPINamesTheTopics(t *testing.T) {
	t.Parallel()
	doc := document(t, asyncAPI)
	settings, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	topics := at(doc, "channels")
	for _, channel := range models.Channels() {
		c, upper := string(channel), strings.ToUpper(string(channel))
		for _, want := range []struct{ topic, parameter, suffix, setting, message, schema, action string }{
			{c + "Requests", "requestTopic", "request", "KAFKA_" + upper + "_REQUEST_TOPIC", c + "Request", c + "-request", "receive"},
			{c + "RequestsHigh", "requestTopic", "request.high", "KAFKA_" + upper + "_REQUEST_TOPIC_HIGH", c + "Request", c + "-request", "receive"},
			{c + "RequestsBulk", "requestTopic", "request.bulk", "KAFKA_" + upper + "_REQUEST_TOPIC_BULK", c + "Request", c + "-request", "receive"},
			{c + "Status", "statusTopic", "status", "KAFKA_" + upper + "_STATUS_TOPIC", "statusEvent", "status-event", "send"},
			{c + "DeadLetters", "dlqTopic", "dlq", "KAFKA_" + upper + "_DLQ_TOPIC", "deadLetter", "dead-letter", "send"},
		} {
			topic := at(topics, want.topic)
			if topic["address"] != "{"+want.parameter+"}" {
				t.Errorf("%s has the address %v", want.topic, topic["address"])
			}
			parameter := at(topic, "parameters", want.parameter)
			if parameter["default"] != "messages."+c+"."+want.suffix || parameter["description"] != want.setting {
				t.Errorf("%s has the parameter %v", want.topic, parameter)
			}
			if !strings.Contains(string(settings), want.setting+"=messages."+c+"."+want.suffix+"\n") {
				t.Errorf(".env.example does not have %s as the contract does", want.setting)
			}
			if got := slices.Collect(maps.Keys(at(topic, "messages"))); !slices.Equal(got, []string{want.message}) {
				t.Errorf("%s has the messages %v", want.topic, got)
			}
			payload := at(doc, "components", "messages", want.message, "payload", "schema")
			if payload["$ref"] != "./schemas/"+want.schema+".schema.json" {
				t.Errorf("%s has the payload %v", want.message, payload)
			}
			checkOperation(t, doc, want.topic, want.message, want.action)
		}
	}
	control := at(topics, "control")
	if p := at(control, "parameters", "controlTopic"); control["address"] != "{controlTopic}" || p["default"] != "messages.control" || p["description"] != "KAFKA_CONTROL_TOPIC" {
		t.Errorf("control has the address %v and the parameter %v", control["address"], p)
	}
	checkOperation(t, doc, "control", "order", "receive")
	if len(topics) != 16 || len(at(doc, "operations")) != 16 {
		t.Errorf("%d channels and %d operations, want 16 of each", len(topics), len(at(doc, "operations")))
	}
}

func checkOperation(t *testing.T, doc object, topic, message, action string) {
	t.Helper()
	for _, v := range at(doc, "operations") {
		o := v.(object)
		if at(o, "channel")["$ref"] != "#/channels/"+topic {
			continue
		}
		if o["action"] != action {
			t.Errorf("the operation on %s is to %v", topic, o["action"])
		}
		list, _ := o["messages"].([]any)
		if len(list) != 1 || list[0].(object)["$ref"] != "#/channels/"+topic+"/messages/"+message {
			t.Errorf("the operation on %s has the messages %v", topic, list)
		}
		return
	}
	t.Errorf("no operation on %s", topic)
}

func TestAsyncAPIKnowsTheHeaders(t *testing.T) {
	t.Parallel()
	got := slices.Sorted(maps.Keys(at(document(t, asyncAPI), "components", "schemas", "eventHeaders", "properties")))
	want := []string{
		models.HeaderAttemptRun, models.HeaderContentType, models.HeaderSourceOffset, models.HeaderSourcePartition, models.HeaderSourceTimestamp, models.HeaderSourceTopic,
		models.HeaderTenantID, models.HeaderTraceParent, models.HeaderWorker,
	}
	if !slices.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
}

// Every example, in the schemas and in the documents, is one.
func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(schemas + "*.json")
	if err != nil || len(files) != 7 {
		t.Fatalf("schemas: %v, %v", files, err)
	}
	n, shown := 0, 0
	for _, file := range files {
		name := filepath.Base(file)
		doc := document(t, file)
		for def, v := range at(doc, "$defs") {
			n += valid(t, name+"#/$defs/"+def, v.(object)["examples"])
		}
		n += valid(t, name, doc["examples"])
	}
	for name, page := range documents(t) {
		for _, part := range strings.Split(page, "```json\n")[1:] {
			block, _, _ := strings.Cut(part, "```")
			checkPayload(t, name, []byte(block))
			n++
			shown++
		}
	}
	if n == shown || shown == 0 {
		t.Errorf("%d examples in schemas, %d in documents", n-shown, shown)
	}
}

func valid(t *testing.T, name string, examples any) int {
	t.Helper()
	list, _ := examples.([]any)
	for _, example := range list {
		if err := compile(t, name).Validate(example); err != nil {
			t.Errorf("an example of %s: %v", name, err)
		}
		if _, ok := example.(object); ok {
			checkPayload(t, name, []byte(quoteValue(example)))
		}
	}
	return len(list)
}

// checkPayload holds a payload against the schema of its kind, and a request
// against its worker's rules too.
func checkPayload(t *testing.T, where string, data []byte) {
	t.Helper()
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Errorf("%s: %v: %s", where, err, data)
		return
	}
	o, _ := instance.(object)
	channel, _ := o["channel"].(string)
	schema := channel + "-request"
	switch {
	case o["event_type"] != nil:
		schema = "status-event"
	case o["original_message"] != nil:
		schema = "dead-letter"
	case o["action"] != nil:
		schema = "order"
	default:
		if _, err := channels()[models.Channel(channel)].Decode(&models.Record{Value: data}); err != nil {
			t.Errorf("%s: %v: %s", where, err, data)
		}
	}
	if err := compile(t, schema+".schema.json").Validate(instance); err != nil {
		t.Errorf("%s: %v: %s", where, err, data)
	}
}

// The documents name the compression of what workers write: a
// client that does not know the codec stops at the first batch.
func TestDocumentsNameTheCompression(t *testing.T) {
	t.Parallel()
	settings := map[string]string{
		"KAFKA_BROKERS": "localhost:9092", "KAFKA_SMS_REQUEST_TOPIC": "a", "KAFKA_SMS_STATUS_TOPIC": "b", "KAFKA_SMS_DLQ_TOPIC": "c", "SMS_CONSUMER_GROUP": "d",
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := settings[name]; return v, ok }, "sms")
	if err != nil {
		t.Fatal(err)
	}
	for name, channel := range at(document(t, asyncAPI), "channels") {
		description, _ := channel.(object)["description"].(string)
		if !strings.Contains(name, "Requests") && !together(description, "KAFKA_COMPRESSION", c.Kafka.Compression) {
			t.Errorf("%s: %s does not say that it is compressed with %s", asyncAPI, name, c.Kafka.Compression)
		}
	}
	for name, pages := range map[string]map[string]string{"the documents": documents(t), "api/README.md": pages(t, "api/README.md")} {
		said := slices.ContainsFunc(slices.Collect(maps.Values(pages)), func(page string) bool {
			return together(page, "`"+c.Kafka.Compression+"`", "KAFKA_COMPRESSION=gzip")
		})
		if !said {
			t.Errorf("%s: none says that workers compress with %s, and what helps those who cannot read it", name, c.Kafka.Compression)
		}
	}
}

// together reports whether a text has all of these words.
func together(text string, words ...string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}
