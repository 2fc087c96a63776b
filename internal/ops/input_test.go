package ops_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
)

func inputs(t *testing.T, text string) []ops.Input {
	t.Helper()
	var list []ops.Input
	for in, err := range ops.Inputs(strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, in)
	}
	return list
}

func TestInputs(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"blank lines", "\n \n\t\n", ""},
		{"one, without an end of line", `{"a":1}`, `1:{"a":1}`},
		{"lines", "{\"a\":1}\r\n\n{\"b\":[2]}\n", `1:{"a":1}|3:{"b":[2]}`},
		{"over several lines", "\n{\n \"a\": {\n}\n}\n{}\n", "2:{\n \"a\": {\n}\n}|6:{}"},
		{"brackets in strings", "{\"a\":\"}{[\\\"}\"}\n{}", `1:{"a":"}{[\"}"}|2:{}`},
		{"one that is never closed", "{\"a\":1\n{\"b\":2}\n", "1:{\"a\":1|2:{\"b\":2}"},
		{"not JSON between", "{}\nnonsense\n{}", "1:{}|2:nonsense|3:{}"},
		{"what JSON does not know as white space", "\u00a0\n\v\n{}\u0085\n", "1:\u00a0|2:\v|3:{}\u0085"},
		{"closed too often", "{}}\n{}", "1:{}}|2:{}"},
	}
	for _, tt := range tests {
		var got []string
		for _, in := range inputs(t, tt.text) {
			got = append(got, string(rune('0'+in.Line))+":"+string(in.Value))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, "|")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Nothing is lost but the white space of JSON, whatever the text.
func FuzzInputs(f *testing.F) {
	f.Add("{\"a\":1\n{}\n")
	f.Add("\"\n\\\"{[\n")
	f.Add("\u2028\n{}\u00a0")
	f.Fuzz(func(t *testing.T, text string) {
		bare := func(s string) string { return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s) }
		var all strings.Builder
		line := 0
		for _, in := range inputs(t, text) {
			if in.Line <= line {
				t.Fatalf("line %d behind line %d", in.Line, line)
			}
			line = in.Line
			all.Write(in.Value)
		}
		if bare(all.String()) != bare(text) {
			t.Fatalf("%q became %q", text, all.String())
		}
	})
}

func TestFill(t *testing.T) {
	t.Parallel()
	const id = "49787c3d-5ef1-4b31-88a1-0a42e53e1fb3"
	tests := []struct{ name, value, want string }{
		{"all there", `{"message_id":"` + id + `","channel":"email","created_at":"yesterday"}`, `{"message_id":"` + id + `","channel":"email","created_at":"yesterday"}`},
		{"channel absent", ` {"x" : 1.50,"created_at":"t","message_id":"i"}`, `{"channel":"sms","x":1.50,"created_at":"t","message_id":"i"}`},
		{"channel null", `{"channel":null,"created_at":"t","message_id":"i"}`, `{"channel":"sms","created_at":"t","message_id":"i"}`},
		{"repeated names stay", `{"channel":"a","channel":"b","created_at":"t","message_id":"i"}`, `{"channel":"a","channel":"b","created_at":"t","message_id":"i"}`},
		{"no object", `[1]`, `[1]`},
		{"broken", `{"a":`, `{"a":`},
		{"two", `{"a":1}{}`, `{"a":1}{}`},
		{"white space that JSON does not know", "{}\u00a0", "{}\u00a0"},
	}
	for _, tt := range tests {
		if got := string(ops.Fill([]byte(tt.value), models.SMS)); got != tt.want {
			t.Errorf("%s: Fill(%s) = %s, want %s", tt.name, tt.value, got, tt.want)
		}
	}
	if got := string(ops.Fill([]byte(`{}`), models.SMS)); !strings.Contains(got, `"message_id":"`) || !strings.Contains(got, `"created_at":"2`) {
		t.Errorf("Fill({}) = %s", got)
	}
}
