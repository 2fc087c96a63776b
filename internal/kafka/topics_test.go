package kafka

import (
	"strings"
	"testing"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	set := func(policy, ms, bytes string) map[string]string {
		return map[string]string{"cleanup.policy": policy, "retention.ms": ms, "retention.bytes": bytes}
	}
	tests := []struct {
		name             string
		requests, status map[string]string
		want             string // begins of the faults, comma-separated
	}{
		{"the same", set("delete", "1000", "-1"), set("delete", "1000", "-1"), ""},
		{"longer", set("delete", "1000", "500"), set("delete", "-1", "-1"), ""},
		{"compacted", set("delete", "1000", "-1"), set("compact", "1000", "-1"), "cleanup.policy"},
		{"both policies", set("compact", "1000", "-1"), set("delete,compact", "1000", "-1"), "cleanup.policy"},
		{"shorter", set("delete", "-1", "-1"), set("delete", "60000", "10"), "retention.ms is 1m0s,retention.bytes is 10"},
		{"not told", nil, nil, ""},
	}
	for _, tt := range tests {
		got := faults(tt.requests, tt.status)
		want := strings.FieldsFunc(tt.want, func(r rune) bool { return r == ',' })
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", tt.name, got, want)
			}
		}
	}
}
