package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with the file and what is wrong with the settings is told at
// once.
func TestMistakesInTheFileHideNoOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "my.env")
	if err := os.WriteFile(path, []byte("TWILIO_AUTH_TOKEN c2VjcmV0\nMAX_ATTEMPTS=0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	code, said := run("sms", []string{"--env-file", path}, &out, &errOut), errOut.String()
	for _, want := range []string{"line 1: TWILIO_AUTH_TOKEN: ", "\nMAX_ATTEMPTS: ", "\nSMS_CONSUMER_GROUP: "} {
		if !strings.Contains(said, want) {
			t.Errorf("it says %q, want %q", said, want)
		}
	}
	if code != exitSettings || strings.Contains(said, "c2VjcmV0") {
		t.Errorf("exit code %d, it says %q", code, said)
	}
}
