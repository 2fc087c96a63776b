package validation_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"messaging-worker/internal/models"
	"messaging-worker/internal/util"
	"messaging-worker/internal/worker"
)

const schemas = "../../api/schemas/"

func compile(tb testing.TB, name string) *jsonschema.Schema {
	tb.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	s, err := c.Compile(schemas + name)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func requestSchemas(tb testing.TB) map[models.Channel]*jsonschema.Schema {
	tb.Helper()
	m := map[models.Channel]*jsonschema.Schema{}
	for _, channel := range models.Channels() {
		m[channel] = compile(tb, string(channel)+"-request.schema.json")
	}
	return m
}

// against says what a schema has against a value, or nil.
func against(s *jsonschema.Schema, value []byte) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return s.Validate(instance)
}

// beyond names the vectors on which schema and worker differ, by what a schema
// cannot say. The schemas' descriptions have the same names.
func beyond() map[string][]string {
	return map[string][]string{
		"json":    {"repeated member", "repeated member deep inside", "two message ids", "the same message id twice", "invalid UTF-8", "lone surrogate", "nested too deep", "8 MiB and one"},
		"key":     {"another key"},
		"padding": {"a padded name of 128 runes", "a padded value of 1024 runes", "padded subject of 255 runes"},
		"twins":   {"twins in meta"},
		"octets":  {"64 letters of two octets", "label of 63 letters of two octets", "200 letters of two octets"},
		"bytes":   {"2 MiB of letters of two bytes, and one", "4098 bytes in 2049 letters", "4097 bytes"},
		"url":     {"host with a zone"},
	}
}

// sample is a vector of whatever kind: a record and the verdict on it.
type sample struct {
	name       string
	channel    models.Channel
	key, value []byte
}

func samples() []sample {
	var list []sample
	for _, v := range vectors() {
		list = append(list, sample{v.name, v.channel, []byte(id), base(v.channel, v.edits)})
	}
	for _, r := range raws() {
		s := sample{r.name, models.SMS, nil, []byte(r.value)}
		if r.null {
			s.value = nil
		}
		list = append(list, s)
	}
	for _, channel := range models.Channels() {
		list = append(list, sample{"no key", channel, nil, base(channel, nil)}, sample{"another key", channel, []byte("other"), base(channel, nil)})
	}
	return list
}

// Schemas accept and refuse exactly what the workers do, but for what a schema
// cannot say; each such exception has a name, and goes when it is not needed.
func TestSchemasDecideLikeTheWorkers(t *testing.T) {
	t.Parallel()
	decoders, schema := channels(), requestSchemas(t)
	exceptions, used := exceptionsByVector(), map[string]bool{}
	agreed, differ, accepted := 0, 0, 0
	for _, s := range samples() {
		_, err := decoders[s.channel].Decode(&models.Record{Topic: "t", Key: s.key, Value: s.value})
		verdict := against(schema[s.channel], s.value)
		exception := exceptions[s.name]
		same := (err == nil) == (verdict == nil)
		switch {
		case same && exception == "":
			agreed++
		case same:
			t.Errorf("%s/%s: schema and worker agree, the exception %q is not needed: %.300s", s.channel, s.name, exception, s.value)
		case exception == "":
			t.Errorf("%s/%s: the worker says %v, the schema %v: %.300s", s.channel, s.name, err, verdict, s.value)
		default:
			differ++
			used[s.name] = true
			if !strings.Contains(description(t, s.channel), exception+": ") {
				t.Errorf("%s/%s: the description of the %s schema does not name the exception %q", s.channel, s.name, s.channel, exception)
			}
		}
		if err == nil {
			accepted++
		}
	}
	for name := range exceptions {
		if !used[name] {
			t.Errorf("the exception for %q is of no vector's name", name)
		}
	}
	t.Logf("%d vectors (%d that workers accept): %d agreements, %d exceptions of %d kinds", agreed+differ, accepted, agreed, differ, len(beyond()))
}

func exceptionsByVector() map[string]string {
	m := map[string]string{}
	for exception, names := range beyond() {
		for _, name := range names {
			m[name] = exception
		}
	}
	return m
}

// What a description names is an exception that some vector shows.
func TestDescriptionsNameOnlyWhatIsTrue(t *testing.T) {
	t.Parallel()
	exceptions := exceptionsByVector()
	shown := map[models.Channel]map[string]bool{}
	for _, s := range samples() {
		if name := exceptions[s.name]; name != "" {
			if shown[s.channel] == nil {
				shown[s.channel] = map[string]bool{}
			}
			shown[s.channel][name] = true
		}
	}
	for _, channel := range models.Channels() {
		names := regexp.MustCompile(`[:.] ([a-z]+): `).FindAllStringSubmatch(description(t, channel), -1)
		if len(names) == 0 {
			t.Errorf("the description of the %s schema names no exception", channel)
		}
		for _, m := range names {
			if _, known := beyond()[m[1]]; !known || !shown[channel][m[1]] && m[1] != "json" {
				t.Errorf("the %s schema names %q, which no vector of the channel shows", channel, m[1])
			}
		}
	}
}

func description(tb testing.TB, channel models.Channel) string {
	tb.Helper()
	text, _ := document(tb, schemas+string(channel)+"-request.schema.json")["description"].(string)
	return text
}

// document reads a JSON file.
func document(tb testing.TB, file string) map[string]any {
	tb.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	m, _ := v.(map[string]any)
	return m
}

// field is a place in a request whose text has a grammar, and where octets
// are counted and not characters.
type field struct {
	channel models.Channel
	edits   func(text string) edit
	octets  bool
}

func fields() map[string]field {
	body := func(text string) edit {
		return edit{"body": `{"type":"media","media_type":"image/png","content":` + quote(text) + `}`}
	}
	header := func(text string) edit {
		return edit{"body": `{"type":"template","content":"x"}`, "meta": `{"template.header.image":` + quote(text) + `}`}
	}
	one := func(member string) func(string) edit {
		return func(text string) edit { return edit{member: quote(text)} }
	}
	inMeta := func(key string) func(string) edit {
		return func(text string) edit { return edit{"meta": "{" + quote(key) + ":" + quote(text) + "}"} }
	}
	return map[string]field{
		"message_id": {models.SMS, one("message_id"), false}, "created_at": {models.SMS, one("created_at"), false},
		"channel": {models.Email, one("channel"), false}, "subject": {models.Email, one("subject"), false},
		"number": {models.SMS, one("from"), false}, "mailbox": {models.Email, one("from"), true},
		"url": {models.WhatsApp, body, false}, "header": {models.WhatsApp, header, false}, "unsubscribe": {models.Email, inMeta("email.list_unsubscribe"), false},
		"media_type": {models.WhatsApp, func(text string) edit {
			return edit{"body": `{"type":"media","content":"https://example.com/a","media_type":` + quote(text) + `}`}
		}, false},
		"body.type": {models.WhatsApp, func(text string) edit { return edit{"body": `{"content":"x","type":` + quote(text) + `}`} }, false},
		"content":   {models.SMS, func(text string) edit { return edit{"body": `{"content":` + quote(text) + `}`} }, false},
	}
}

// grammars holds the schemas' grammars against the workers'.
type grammars struct {
	decoders map[models.Channel]worker.Channel
	schemas  map[models.Channel]*jsonschema.Schema
	fields   map[string]field
	names    []string
	zone     *regexp.Regexp
}

func newGrammars(tb testing.TB) *grammars {
	tb.Helper()
	g := &grammars{channels(), requestSchemas(tb), fields(), nil, regexp.MustCompile(`\[[^\]]*%25`)}
	g.names = slices.Sorted(maps.Keys(g.fields))
	return g
}

// check reports where the two differ on a text and no exception explains it.
func (g *grammars) check(t *testing.T, name, text string) {
	t.Helper()
	place := g.fields[name]
	value := base(place.channel, place.edits(text))
	_, err := g.decoders[place.channel].Decode(&models.Record{Topic: "t", Value: value})
	verdict := against(g.schemas[place.channel], value)
	trimmed := strings.TrimSpace(text)
	switch {
	case (err == nil) == (verdict == nil):
	case place.octets && err != nil && len(trimmed) != utf8.RuneCountInString(trimmed) && len(trimmed) > 63: // octets
	case verdict != nil && g.zone.MatchString(text): // url
	case name == "subject" && len(trimmed) != len(text) && utf8.RuneCountInString(text) > 255: // padding
	default:
		t.Errorf("%s %q: the worker says %v, the schema %v", name, text, err, verdict)
	}
}

// Each grammar decides every text as the workers do.
func FuzzSchemaGrammar(f *testing.F) {
	g := newGrammars(f)
	for i, name := range g.names {
		for _, text := range seeds(name) {
			f.Add(i, text)
		}
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		if i >= 0 && i < len(g.names) && utf8.ValidString(text) && len(text) <= 2000 {
			g.check(t, g.names[i], text)
		}
	})
}

// The same for texts near to valid ones, some thousands each time.
func TestSchemaGrammarNearby(t *testing.T) {
	t.Parallel()
	g, random := newGrammars(t), rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	alphabet := []rune("019afgAFZ.:-+@/[]\"\\%#?&=_<>(){}|^~ \t\r\n\u0000\u0085\u00a0\u200b\u3000\ufeffäß用👋,;!$'*`")
	n := 0
	for _, name := range g.names {
		for _, seed := range seeds(name) {
			for range 200 {
				text := []rune(seed)
				for range 1 + random.IntN(3) {
					at := random.IntN(len(text) + 1)
					gone := min(len(text)-at, random.IntN(2))
					text = slices.Replace(text, at, at+gone, slices.Repeat(alphabet[random.IntN(len(alphabet)):][:1], random.IntN(3))...)
				}
				g.check(t, name, string(text))
				n++
			}
		}
	}
	t.Logf("%d texts", n)
}

// seeds are the texts that the vectors have for a field.
func seeds(name string) []string {
	switch name {
	case "mailbox":
		return []string{"user@example.com", `"a b"@[192.0.2.1]`, "用户@例子.广告", `"\\\""@b`, "a@[IPv6:::1]", "a@[IPv6:1:2::192.0.2.1]", " a@b\u0085"}
	case "url":
		return []string{"https://example.com:8080/a%20b?x#y", "http://[::1]/", "http://a;b=c/", "http://é/", "http://%C3%A9/"}
	case "header":
		return []string{"https://example.com:8080/a%20b?x#y", " http://[::1]/\t", "http://é/"}
	case "unsubscribe":
		return []string{"https://example.com/u?a=1", " https://[::1]:1/\t"}
	case "created_at":
		return []string{"2025-10-16T09:30:00Z", "2024-02-29T09:30:00.1+00:00"}
	case "media_type":
		return []string{"image/png", " a/b ", `a/b; c="d\e"`, "a/b;c=d ;"}
	case "number":
		return []string{"+15551234567"}
	case "body.type":
		return []string{"text", "", " template"}
	default:
		return []string{id, "email", "a\tb", " x\r\n"}
	}
}

// The grammar of addresses in brackets is that of the workers' own parser.
func TestSchemaLiterals(t *testing.T) {
	t.Parallel()
	s, random := compile(t, "common.json#/$defs/mailbox"), rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	pieces := []string{":", ":", ":", ":", "::", "0", "1", "ab", "FFFF", "12345", "1.2.3.4", "255.255.255.255", "256.1.1.1", "01.2.3.4", "g", "%1"}
	valid := 0
	for range 20000 {
		parts := []string{"u@[", []string{"IPv6:", "ipV6:", "", "IPv4:"}[random.IntN(40)/13]}
		for range random.IntN(16) {
			parts = append(parts, pieces[random.IntN(len(pieces))])
		}
		text := strings.Join(append(parts, "]"), "")
		got, want := s.Validate(text) == nil, util.IsMailbox(text)
		if got != want {
			t.Errorf("the schema accepts %q: %v, want %v", text, got, want)
		}
		if want {
			valid++
		}
	}
	if valid < 100 {
		t.Errorf("%d of the addresses are valid: too few to conclude anything", valid)
	}
}
