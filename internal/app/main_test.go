package app

import (
	"bytes"
	"fmt"
	"net"
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

// What no worker refuses and hardly anybody means is logged before anything else
// can go wrong.
func TestWarnsOfSettings(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "my.env")
	settings := fmt.Sprintf(`APP_HOST=127.0.0.1
APP_PORT=%d
KAFKA_BROKERS=127.0.0.1:1
KAFKA_SMS_REQUEST_TOPIC=a
KAFKA_SMS_STATUS_TOPIC=b
KAFKA_SMS_DLQ_TOPIC=c
KAFKA_SMS_REQUEST_TOPIC_HIGH=d
SMS_CONSUMER_GROUP=g
HIGH_MAX_ATTEMPTS=2
`, l.Addr().(*net.TCPAddr).Port)
	if err := os.WriteFile(path, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	code := run("sms", []string{"--env-file", path}, &out, &errOut)
	if said := errOut.String(); code != exitFault || !strings.Contains(said, "HIGH_MAX_ATTEMPTS: below 3") {
		t.Errorf("exit code %d, it says %q, want %d for the port, and the warning", code, said, exitFault)
	}
}
