// Package validation_test holds the vectors of valid and invalid requests, as
// the channels' decoders see them from outside.
package validation_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

const id = "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"

func limits(recipients int) request.Limits {
	return request.Limits{
		MessageBytes: 8 << 20, Recipients: recipients, BodyBytes: 2 << 20, SMSBodyRunes: 1600, WhatsAppBodyBytes: 4096,
		SubjectRunes: 255, MetaEntries: 50, MetaKeyRunes: 128, MetaValueRunes: 1024,
	}
}

func channels() map[models.Channel]worker.Channel {
	return map[models.Channel]worker.Channel{
		models.Email:    email.New(nil, limits(100), time.Second),
		models.SMS:      sms.New(nil, limits(10), time.Second),
		models.WhatsApp: whatsapp.New(nil, limits(100), time.Second),
	}
}

// base is a valid request of the channel; edits replace members by raw JSON,
// and delete those set to "".
func base(channel models.Channel, edits map[string]string) []byte {
	m := map[string]string{
		"message_id": `"` + id + `"`, "channel": `"` + string(channel) + `"`, "created_at": `"2025-10-16T09:30:00Z"`,
		"from": `"+15551234567"`, "to": `["+15557654321"]`, "body": `{"content":"hello"}`,
	}
	if channel == models.Email {
		m["from"], m["to"], m["subject"] = `"noreply@example.com"`, `["user@example.com"]`, `"Welcome"`
	}
	maps.Copy(m, edits)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", name, m[name]))
		}
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

func repeat(item string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
}

func metaOf(n int) string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint("k", i)] = "v"
	}
	b, _ := json.Marshal(m)
	return string(b)
}

type vector struct {
	name    string
	channel models.Channel
	edits   map[string]string
	want    []string // paths of the violations, in order; none: valid
}

type edit = map[string]string

// vectors lists the vectors of all channels.
func vectors() []vector {
	return slices.Concat(general(), envelopes(), addresses(), bodies(), emailHeaders(), templates())
}

func general() []vector {
	e, s, w := models.Email, models.SMS, models.WhatsApp
	x := func(c byte, n int) string { return strings.Repeat(string(c), n) }
	return []vector{
		{"plain", e, nil, nil},
		{"plain", s, nil, nil},
		{"plain", w, nil, nil},

		{"no message_id", s, edit{"message_id": ""}, []string{"message_id"}},
		{"upper-case id", s, edit{"message_id": `"1E8F3B1B-4D0D-4BD3-9C86-2F72C7808C61"`}, []string{"message_id"}},
		{"id with white space is trimmed", s, edit{"message_id": `" ` + id + `\n"`}, nil},
		{"id is a number", s, edit{"message_id": `7`}, []string{"message_id"}},
		{"id is null", s, edit{"message_id": `null`}, []string{"message_id"}},
		{"another channel", s, edit{"channel": `"email"`}, []string{"channel"}},
		{"no channel", s, edit{"channel": ""}, []string{"channel"}},
		{"no created_at", s, edit{"created_at": ""}, []string{"created_at"}},
		{"local time", s, edit{"created_at": `"2025-10-16T09:30:00+02:00"`}, []string{"created_at"}},
		{"time with offset zero", s, edit{"created_at": `"2025-10-16T09:30:00.123+00:00"`}, nil},
		{"tenant and trace", s, edit{"tenant_id": `"acme"`, "trace_id": `"t"`}, nil},
		{"tenant is a number", s, edit{"tenant_id": `1`}, []string{"tenant_id"}},
		{"null tenant is absent", s, edit{"tenant_id": `null`}, nil},
		{"unknown members", s, edit{"x": `{"a":[1,2,{"b":null}]}`, "Channel": `"x"`}, nil},
		{"huge number elsewhere", s, edit{"x": `1e999999`}, nil},

		{"meta", s, edit{"meta": `{"a":"b"}`}, nil},
		{"meta null", s, edit{"meta": `null`}, nil},
		{"meta is a list", s, edit{"meta": `[]`}, []string{"meta"}},
		{"null in meta", s, edit{"meta": `{"a":null}`}, []string{`meta["a"]`}},
		{"number in meta", s, edit{"meta": `{"a":1,"b":"x"}`}, []string{`meta["a"]`}},
		{"50 entries", s, edit{"meta": metaOf(50)}, nil},
		{"51 entries", s, edit{"meta": metaOf(51)}, []string{"meta"}},
		{"key of 128 runes", s, edit{"meta": `{"` + strings.Repeat("ä", 128) + `":""}`}, nil},
		{"key of 129 runes", s, edit{"meta": `{"` + x('k', 129) + `":""}`}, []string{`meta["` + x('k', 64) + `"]`}},
		{"value of 1024 runes", s, edit{"meta": `{"a":"` + strings.Repeat("ä", 1024) + `"}`}, nil},
		{"value of 1025 runes", s, edit{"meta": `{"a":"` + x('v', 1025) + `"}`}, []string{`meta["a"]`}},

		{"no from", s, edit{"from": ""}, []string{"from"}},
		{"blank from", s, edit{"from": `"  "`}, []string{"from"}},
		{"from without plus", s, edit{"from": `"15551234567"`}, []string{"from"}},
		{"to missing", s, edit{"to": ""}, []string{"to"}},
		{"to empty", s, edit{"to": `[]`}, []string{"to"}},
		{"to is a string", s, edit{"to": `"+15557654321"`}, []string{"to"}},
		{"to with a bad number", s, edit{"to": `["+15557654321","x"]`}, []string{"to[1]"}},
		{"to with null and a number", s, edit{"to": `["+15557654321",null,5]`}, []string{"to[1]", "to[2]"}},
		{"10 numbers", s, edit{"to": repeat(`"+15557654321"`, 10)}, nil},
		{"11 numbers", s, edit{"to": repeat(`"+15557654321"`, 11)}, []string{"to"}},
		{"100 numbers", w, edit{"to": repeat(`"+15557654321"`, 100)}, nil},
		{"101 numbers", w, edit{"to": repeat(`"+15557654321"`, 101)}, []string{"to"}},
		{"trimmed number", s, edit{"to": `[" +15557654321 "]`}, nil},

		{"no body", s, edit{"body": ""}, []string{"body.content"}},
		{"body is a string", s, edit{"body": `"x"`}, []string{"body"}},
		{"blank content", s, edit{"body": `{"content":" \n\t "}`}, []string{"body.content"}},
		{"content is a number", s, edit{"body": `{"content":5}`}, []string{"body.content"}},
		{"text", s, edit{"body": `{"type":"text","content":"x"}`}, nil},
		{"null type is the default", s, edit{"body": `{"type":null,"content":"x"}`}, nil},
		{"html in sms", s, edit{"body": `{"type":"html","content":"x"}`}, []string{"body.type"}},
		{"1600 runes", s, edit{"body": `{"content":"` + strings.Repeat("ä", 1600) + `"}`}, nil},
		{"1601 runes", s, edit{"body": `{"content":"` + x('a', 1601) + `"}`}, []string{"body.content"}},

		{"template", w, edit{"body": `{"type":"template","content":"order_update"}`}, nil},
		{"media", w, edit{"body": `{"type":"media","content":"https://example.com/a.png","media_type":"image/png"}`}, nil},
		{"media without type", w, edit{"body": `{"type":"media","content":"https://example.com/a.png"}`}, []string{"body.media_type"}},
		{"media without URL", w, edit{"body": `{"type":"media","content":"a.png","media_type":"image/png"}`}, []string{"body.content"}},
		{"media with a bad type", w, edit{"body": `{"type":"media","content":"https://example.com/a.png","media_type":"png"}`}, []string{"body.media_type"}},
		{"media type with a parameter", w, edit{"body": `{"type":"media","content":"https://example.com/a.ogg","media_type":"audio/ogg; codecs=opus"}`}, nil},
		{"media type with a quoted parameter", w, edit{"body": `{"type":"media","content":"https://example.com/a.mp4","media_type":" video/mp4;codecs=\"avc1, mp4a\" "}`}, nil},
		{"media type with half a parameter", w, edit{"body": `{"type":"media","content":"https://example.com/a.ogg","media_type":"audio/ogg; codecs"}`}, []string{"body.media_type"}},
		{"media type with a wildcard", w, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":"image/*"}`}, []string{"body.media_type"}},
		{"media type is a list", w, edit{"body": `{"type":"media","content":"https://example.com/a","media_type":"image/png, image/gif"}`}, []string{"body.media_type"}},
		{"4096 bytes", w, edit{"body": `{"content":"` + x('a', 4096) + `"}`}, nil},
		{"4097 bytes", w, edit{"body": `{"content":"` + x('a', 4095) + `ä"}`}, []string{"body.content"}},
		{"html in whatsapp", w, edit{"body": `{"type":"html","content":"x"}`}, []string{"body.type"}},

		{"html", e, edit{"body": `{"type":"html","content":"<p>x</p>"}`}, nil},
		{"template in email", e, edit{"body": `{"type":"template","content":"x"}`}, []string{"body.type"}},
		{"cc and bcc", e, edit{"cc": `["a@b"]`, "bcc": `[]`}, nil},
		{"bad cc and bcc", e, edit{"cc": `["a"]`, "bcc": `["b@c","@"]`}, []string{"cc[0]", "bcc[1]"}},
		{"display name", e, edit{"from": `"Us <noreply@example.com>"`}, []string{"from"}},
		{"101 in cc", e, edit{"cc": repeat(`"a@b.c"`, 101)}, []string{"cc"}},
		{"no subject", e, edit{"subject": ""}, nil},
		{"255 runes of subject", e, edit{"subject": `"` + strings.Repeat("ä", 255) + `"`}, nil},
		{"256 runes of subject", e, edit{"subject": `"` + x('s', 256) + `"`}, []string{"subject"}},
		{"CR LF in subject", e, edit{"subject": `"a\r\nBcc: x@y"`}, []string{"subject"}},
		{"tab in subject", e, edit{"subject": `"a\tb"`}, nil},
		{"reply_to and list_unsubscribe", e, edit{"meta": `{"email.reply_to":"help@example.com","email.list_unsubscribe":"https://example.com/u?a=1,2&b=%20"}`}, nil},
		{"reply_to with a display name", e, edit{"meta": `{"email.reply_to":"Help <help@example.com>"}`}, []string{`meta["email.reply_to"]`}},
		{"reply_to with a line break", e, edit{"meta": `{"email.reply_to":"a@example.com\r\nBcc: x@example.com"}`}, []string{`meta["email.reply_to"]`}},
		{"empty reply_to", e, edit{"meta": `{"email.reply_to":""}`}, []string{`meta["email.reply_to"]`}},
		{"list_unsubscribe by http", e, edit{"meta": `{"email.list_unsubscribe":"http://example.com/u"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe by mail", e, edit{"meta": `{"email.list_unsubscribe":"mailto:u@example.com"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe without a host", e, edit{"meta": `{"email.list_unsubscribe":"https:///u"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe that leaves its brackets", e, edit{"meta": `{"email.list_unsubscribe":"https://example.com/>,<mailto:x@example.com"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe with a line break", e, edit{"meta": `{"email.list_unsubscribe":"https://example.com/\r\nBcc:x"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe beyond ASCII", e, edit{"meta": `{"email.list_unsubscribe":"https://example.com/ü"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"list_unsubscribe of 900 bytes", e, edit{"meta": `{"email.list_unsubscribe":"https://example.com/` + x('u', 880) + `"}`}, nil},
		{"list_unsubscribe of 901 bytes", e, edit{"meta": `{"email.list_unsubscribe":"https://example.com/` + x('u', 881) + `"}`}, []string{`meta["email.list_unsubscribe"]`}},
		{"another channel's meta is its own", s, edit{"meta": `{"email.reply_to":"x"}`}, nil},
		{"2 MiB", e, edit{"body": `{"content":"` + x('a', 2<<20) + `"}`}, nil},
		{"2 MiB and one", e, edit{"body": `{"content":"` + x('a', 2<<20+1) + `"}`}, []string{"body.content"}},

		{"all at once", e, edit{
			"message_id": `"x"`, "channel": `"sms"`, "created_at": `5`, "meta": `{"a":1}`, "from": `"f"`, "to": `["t"]`, "cc": `7`, "body": `{"type":"x"}`,
		}, []string{"created_at", "cc", `meta["a"]`, "message_id", "channel", "from", "to[0]", "body.type", "body.content"}},
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	all := channels()
	for _, v := range vectors() {
		t.Run(string(v.channel)+"/"+v.name, func(t *testing.T) {
			t.Parallel()
			value := base(v.channel, v.edits)
			d, err := all[v.channel].Decode(&models.Record{Key: []byte(id), Value: value})
			got := paths(t, err)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(v.want))
			if slices.Contains(want, "message_id") { // then the key cannot match it either
				got = slices.DeleteFunc(got, func(p string) bool { return p == "key" })
			}
			if !slices.Equal(got, want) {
				t.Fatalf("violations at %q, want %q", got, want)
			}
			if err == nil && (d.Envelope.MessageID != id || d.Envelope.Channel != v.channel) {
				t.Errorf("envelope = %+v", d.Envelope)
			}
		})
	}
}

// paths returns the violations' paths, without duplicates.
func paths(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	v, ok := errors.AsType[*common.Violations](err)
	if !ok || len(v.List) == 0 {
		t.Fatalf("Decode error = %v (%T), want *common.Violations with a list", err, err)
	}
	var out []string
	for _, text := range v.List {
		path, _, _ := strings.Cut(text, ": ")
		out = append(out, path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// raw is a record that is no request at all, or none with a usable id.
type raw struct {
	name, value string
	null        bool
	wantID      string // usable message id
	wantText    string
}

func raws() []raw {
	good := string(base(models.SMS, nil))
	deep := strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	var list []raw
	// White space elsewhere, but not in JSON (RFC 8259, 2).
	for _, space := range []string{"\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u3000", "\ufeff", "\x00"} {
		list = append(
			list,
			raw{name: fmt.Sprintf("%q alone", space), value: space, wantText: "not valid JSON"},
			raw{name: fmt.Sprintf("%q in front", space), value: space + good, wantText: "not valid JSON"},
			raw{name: fmt.Sprintf("%q behind", space), value: good + space, wantID: id, wantText: "not valid JSON"},
			raw{name: fmt.Sprintf("%q behind white space", space), value: good + "\n" + space, wantID: id, wantText: "not valid JSON"},
			raw{name: fmt.Sprintf("%q behind the last member", space), value: good[:len(good)-1] + space + "}", wantID: id, wantText: "not valid JSON"},
		)
	}
	return append(list, []raw{
		{name: "null value", null: true, wantText: "null value"},
		{name: "empty", value: "", wantText: "empty"},
		{name: "white space", value: " \n", wantText: "empty"},
		{name: "array", value: `[1]`, wantText: "not a JSON object"},
		{name: "text", value: `hello`, wantText: "not valid JSON"},
		{name: "truncated", value: good[:len(good)-5], wantID: id, wantText: "ends too early"},
		{name: "trailing data", value: good + "x", wantID: id, wantText: "not valid JSON"},
		{name: "two objects", value: good + good, wantID: id, wantText: "more data"},
		{name: "repeated member", value: strings.Replace(good, `"from"`, `"to":[],"from"`, 1), wantID: id, wantText: "repeated member"},
		{name: "repeated member deep inside", value: `{"x":{"a":1,"a":2},` + good[1:], wantID: id, wantText: "repeated member"},
		{name: "two message ids", value: `{"message_id":"49787c3d-5ef1-4b31-88a1-0a42e53e1fb3",` + good[1:], wantText: "repeated member"},
		{name: "the same message id twice", value: `{"message_id":"` + id + `",` + good[1:], wantID: id, wantText: "repeated member"},
		{name: "invalid UTF-8", value: strings.Replace(good, "hello", "\xff", 1), wantID: id, wantText: "UTF-8"},
		{name: "lone surrogate", value: strings.Replace(good, "hello", `\ud800`, 1), wantID: id, wantText: "UTF-8"},
		{name: "nested too deep", value: `{"x":` + deep + `,` + good[1:], wantID: id, wantText: "deeper than 1000"},
		{name: "8 MiB and one", value: good + strings.Repeat(" ", 8<<20+1-len(good)), wantID: id, wantText: "8388609 bytes, at most 8388608"},
		{name: "byte order mark", value: "\ufeff" + good, wantText: "not valid JSON"},
		{name: "bad id elsewhere fine", value: `{"message_id":"x"}`, wantText: "message_id"},
	}...)
}

func TestRecordsThatAreNoRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range raws() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &models.Record{Topic: "t", Value: []byte(tt.value)}
			if tt.null {
				rec.Value = nil
			}
			_, err := channels()[models.SMS].Decode(rec)
			v, ok := errors.AsType[*common.Violations](err)
			if !ok {
				t.Fatalf("Decode = %v, want violations", err)
			}
			if v.MessageID != tt.wantID {
				t.Errorf("MessageID = %q, want %q (%v)", v.MessageID, tt.wantID, v)
			}
			if !strings.Contains(v.Error(), tt.wantText) || !strings.HasPrefix(v.Error(), "validation error: ") {
				t.Errorf("Error() = %q, want it to say %q", v, tt.wantText)
			}
		})
	}
}

func TestDepthOfExactlyTheLimitIsFine(t *testing.T) {
	t.Parallel()
	good := string(base(models.SMS, nil))
	value := `{"x":` + strings.Repeat("[", 999) + strings.Repeat("]", 999) + `,` + good[1:]
	if _, err := channels()[models.SMS].Decode(&models.Record{Value: []byte(value)}); err != nil {
		t.Errorf("1000 levels: %v, want nil", err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		key  []byte
		want []string
	}{
		{"null", nil, nil},
		{"empty", []byte{}, nil},
		{"the id", []byte(id), nil},
		{"another", []byte("other"), []string{"key"}},
	}
	for _, tt := range tests {
		_, err := channels()[models.Email].Decode(&models.Record{Key: tt.key, Value: base(models.Email, nil)})
		if got := paths(t, err); !slices.Equal(got, tt.want) {
			t.Errorf("key %s: violations at %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestRecordTooLarge(t *testing.T) {
	t.Parallel()
	small := limits(10)
	small.MessageBytes = 100
	c := sms.New(nil, small, time.Second)
	_, err := c.Decode(&models.Record{Value: base(models.SMS, edit{"from": `"x"`})})
	if got := paths(t, err); !slices.Equal(got, []string{"from", "record"}) {
		t.Errorf("violations at %q, want the record's size and from", got)
	}
}

func TestViolationsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := channels()[models.SMS].Decode(&models.Record{Value: base(models.SMS, edit{"to": repeat(`"x"`, 100000)})})
	v, _ := errors.AsType[*common.Violations](err)
	if v == nil || len(v.List) > 101 || !strings.Contains(v.Error(), "more") {
		t.Errorf("violations = %.200v, want about a hundred and a count of the rest", v)
	}
}

func TestUnitsReachEveryRecipientOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		channel models.Channel
		edits   edit
		want    [][]int
	}{
		{"email is one unit", models.Email, edit{"to": `["a@x.com","b@x.com"]`, "cc": `["c@x.com"]`, "bcc": `["d@x.com"]`}, [][]int{{0, 1, 2, 3}}},
		{"repeated address", models.Email, edit{"to": `["a@x.com","a@X.COM","A@x.com"]`, "cc": `["a@x.com","e@x.com"]`}, [][]int{{0, 2, 4}}},
		{"a number a unit", models.SMS, edit{"to": `["+15550001","+15550002","+15550001","+15550003"]`}, [][]int{{0}, {1}, {3}}},
	}
	for _, tt := range tests {
		d, err := channels()[tt.channel].Decode(&models.Record{Value: base(tt.channel, tt.edits)})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Units; !slices.EqualFunc(got, tt.want, slices.Equal) {
			t.Errorf("%s: Units() = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Whatever the bytes: a decoder accepts or lists what is wrong, it never
// panics, and an accepted request is one by an independent reading too.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors() {
		if value := base(v.channel, v.edits); len(value) < 4096 {
			f.Add(value)
		}
	}
	all := channels()
	f.Fuzz(func(t *testing.T, value []byte) {
		for channel, c := range all {
			d, err := c.Decode(&models.Record{Topic: "t", Value: value})
			if err != nil {
				paths(t, err)
				continue
			}
			var plain map[string]any // a struct would match names without case
			dec := json.NewDecoder(bytes.NewReader(value))
			dec.UseNumber()
			if err := dec.Decode(&plain); err != nil || !json.Valid(value) { // behind the object, too
				t.Fatalf("%s accepted what encoding/json refuses: %v", channel, err)
			}
			if got, _ := plain["message_id"].(string); strings.TrimSpace(got) != d.Envelope.MessageID || len(d.Units) == 0 || len(d.Units[0]) == 0 {
				t.Fatalf("%s: message id %q, units %v", channel, d.Envelope.MessageID, d.Units)
			}
			if !models.IsObject(bytes.Trim(value, " \t\r\n")) {
				t.Fatalf("%s accepted a value that is no strict object", channel)
			}
		}
	})
}

func BenchmarkDecodeSMS(b *testing.B) {
	value := base(models.SMS, edit{
		"tenant_id": `"acme"`, "trace_id": `"4bf92f3577b34da6a3ce929d0e0e4736"`, "meta": `{"campaign":"autumn"}`,
		"body": `{"type":"text","content":"Your one-time code is 123456"}`,
	})
	rec := &models.Record{Topic: "t", Key: []byte(id), Value: value}
	c := channels()[models.SMS]
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Decode(rec); err != nil {
			b.Fatal(err)
		}
	}
}
