package util_test

import (
	"testing"

	"messaging-worker/internal/util"
)

func TestMask(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"john.doe@example.com": "j***@example.com",
		"üser@例子.广告":           "ü***@例子.广告",
		`"a@b"@example.com`:    `"***@example.com`,
		"a@example.com":        "***@example.com",
		"@example.com":         "***",
		"+15557654321":         "+1555*****21",
		"+4912345678":          "+4912****78",
		"+12":                  "***",
		"whatever":             "***",
		"":                     "***",
	} {
		if got := util.Mask(address); got != want {
			t.Errorf("Mask(%q) = %q, want %q", address, got, want)
		}
	}
}
