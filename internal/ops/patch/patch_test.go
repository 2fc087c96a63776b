package patch_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops/patch"
)

const request = `{ "message_id":"m",  "to" : ["+1",
  "+2"], "body":{"content":"a\u0041"}, "n": 1.50e3, "meta":{"a.b":"c"}, "cc":null}`

func TestEditsChangeOnlyTheirValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ edit, old, now string }{
		{"to[0]=+3", `"+1"`, `"+3"`},
		{"to[1]=+3", `"+2"`, `"+3"`},
		{"to[2]=+3", `"+2"]`, `"+2","+3"]`},
		{"to:=[]", "[\"+1\",\n  \"+2\"]", `[]`},
		{"body.content=x=y", `"a\u0041"`, `"x=y"`},
		{"body.type=text", `\u0041"}`, `\u0041","type":"text"}`},
		{"meta.a.b=d", `"c"`, `"d"`},
		{`meta["a.b"]=d`, `"c"`, `"d"`},
		{`meta["x = \" y"]=d`, `"c"}`, `"c","x = \" y":"d"}`},
		{"cc[0]=+4", `null`, `["+4"]`},
		{"n:= 2 ", `1.50e3`, `2`},
		{"bcc[0]=+4", `null}`, `null,"bcc":["+4"]}`},
		{"subject=", `null}`, `null,"subject":""}`},
		{`from=quote"d`, `null}`, `null,"from":"quote\"d"}`},
	} {
		e, err := patch.Parse(tt.edit)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.edit, err)
			continue
		}
		got, err := e.Apply([]byte(request))
		if err != nil {
			t.Errorf("Apply of %q: %v", tt.edit, err)
		}
		if diff := cmp.Diff(strings.Replace(request, tt.old, tt.now, 1), string(got)); diff != "" {
			t.Errorf("Apply of %q (-want +got):\n%s", tt.edit, diff)
		}
	}
}

func TestEditsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "to", "=x", "to[=x", "to[]=x", "to[-1]=x", "to[1x]=x", "to[0]x=y", ".a=x", "a..b=x", "a.=x", "meta.=x", `meta["a]=x`, `meta[""]=x`,
		"to:=[", "to:=", "to:=1 2", "to:=1\u00a0", "to:=\v1", "to[999999999]=x", "subject=\xff", "[0]=x",
	} {
		if e, err := patch.Parse(text); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", text, e)
		}
	}
}

func TestEditsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"to[3]=x", "to.x=y", "body[0]=x", "n.x=y", "message_id[0]=x", "bcc[1]=x"} {
		e, err := patch.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		if got, err := e.Apply([]byte(request)); err == nil {
			t.Errorf("Apply of %q = %s, want an error", text, got)
		}
	}
	e, err := patch.Parse("a=b")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"", "7", "[]", `{"a":1`, `{"b":1,"b":2}`, `not json`} {
		if got, err := e.Apply([]byte(doc)); err == nil {
			t.Errorf("Apply to %q = %s, want an error", doc, got)
		}
	}
}

// FuzzEdit holds that an edit of a valid object leaves a valid object, whose
// other members are as they were, and that making it twice changes nothing.
func FuzzEdit(f *testing.F) {
	for _, edit := range []string{"to[0]=x", "meta.a=b", `meta["a b"]:={"x":[1]}`, "body.content=y", "subject:=null", "a[0][0].b=c"} {
		f.Add(request, edit)
	}
	f.Add(`{}`, "to[0]=x")
	f.Add(`{"to":"x"}`, "to[0]=x")
	f.Fuzz(func(t *testing.T, doc, text string) {
		e, err := patch.Parse(text)
		if err != nil || !models.IsObject([]byte(doc)) {
			return
		}
		got, err := e.Apply([]byte(doc))
		if err != nil {
			return
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(doc), &before) != nil {
			return
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q on %q made %q: %v", text, doc, got, err)
		}
		changed := 0
		for name, value := range after {
			if old, ok := before[name]; !ok || string(old) != string(value) {
				changed++
			}
		}
		if changed > 1 || len(after) < len(before) || len(after) > len(before)+1 {
			t.Fatalf("%q on %q made %q: %d members changed", text, doc, got, changed)
		}
		again, err := e.Apply(got)
		if err != nil || string(again) != string(got) {
			t.Fatalf("%q twice on %q made %q, %v, and first %q", text, doc, again, err, got)
		}
	})
}
