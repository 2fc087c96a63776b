package api

import (
	"strings"
	"testing"
)

func TestObjectNumber(t *testing.T) {
	t.Parallel()
	const none = -1
	for value, want := range map[string]int{
		`131026`: 131026, `131026.0`: 131026, `1.31026e5`: 131026, `"131026"`: 131026, `" 131026 "`: 131026, `"131026.0"`: 131026,
		`"\u0031"`: 1, `0`: 0, `"0"`: 0, `-0`: 0, `2147483647`: 2147483647, `2147483648`: none, `1e999`: none, `-1`: none, `"-1"`: none, `1.5`: none,
		`"1.5"`: none, `""`: none, `" "`: none, `"abc"`: none, `"1e3"`: none, `"0x10"`: none, `"Inf"`: none, `"1_0"`: none, `"(#100)"`: none, `"١"`: none,
		`null`: none, `true`: none, `{}`: none, `{"code":1}`: none, `[]`: none, `[131026]`: none,
	} {
		o, whole := (&Answer{Body: []byte(`{"x":{"y":[]},"code":` + value + `,"z":"\ud800"}`)}).Object()
		got, ok := o.Number("code")
		if !ok {
			got = none
		}
		if got != want || !whole {
			t.Errorf("Number() of %s = %d, want %d (whole: %v)", value, got, want, whole)
		}
	}
	if _, ok := Object(nil).Number("code"); ok {
		t.Error("an absent member is a number")
	}
}

// A body is read as far as it goes.
func TestObject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body  string
		a     string // member a, as a text
		whole bool
	}{
		{`{"a":"x"}`, "x", true},
		{"\ufeff \n{\"a\":\"x\"}\n", "x", true},
		{`{"a":"x"} trailing`, "x", true},
		{`{"a":"x"}{"a":"y"}`, "x", true},
		{"{\"a\":\"x\"}\x00", "x", true},
		{`{"a":"x","a":"y"}`, "y", true},
		{`{"a":"x`, "", false},
		{`{"a":"x","b`, "x", false},
		{`{"a":"x","b":1`, "x", false},
		{`{"a":"x",}`, "x", false},
		{`{"a":"x" "b":1}`, "x", false},
		{`{"b":[1,{"a":"y"}],"a":"x"}`, "x", true},
		{`{"a":1}`, "", true},
		{`{"a":null}`, "", true},
		{`{}`, "", true},
		{`[{"a":"x"}]`, "", false},
		{`"a"`, "", false},
		{`null`, "", false},
		{``, "", false},
		{`<html>{"a":"x"}</html>`, "", false},
		{`{"b":` + strings.Repeat("[", 20000) + `,"a":"x"}`, "", false},
	}
	for _, tt := range tests {
		o, whole := (&Answer{Body: []byte(tt.body)}).Object()
		if got := o.Text("a"); got != tt.a || whole != tt.whole {
			t.Errorf("%.60q: a is %q, whole %v; want %q, %v", tt.body, got, whole, tt.a, tt.whole)
		}
	}
}
