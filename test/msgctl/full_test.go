package msgctl_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

// What cannot be printed is lost to the script that reads it, so the command
// says so in its exit code. It still sends all that it was asked for.
func TestNoRoomForTheOutput(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full to write to")
	}
	s := stage.New(t, models.SMS, stage.Options{})
	const request = `{"from":"+15551234567","to":["+15557654321"],"body":{"content":"x"}}` + "\n"
	path := file(t, strings.Repeat(request, 3))
	for i, args := range []string{
		"send sms --file " + path, "send sms --output json --file " + path,
		"produce --channel sms --count 3", "produce --channel sms --count 3 --output json",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t.Context(), s, strings.Fields(args)...)
		var complaints bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), full, &complaints
		_ = cmd.Run() // its code is in ProcessState
		full.Close()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(complaints.String(), "no space left") ||
			!strings.Contains(complaints.String(), "3 of 3 requests produced") {
			t.Errorf("msgctl %s exits %d and says: %s", args, code, &complaints)
		}
		if got, want := count(t, s), int64(3*(i+1)); got != want {
			t.Fatalf("msgctl %s: %d requests in the topic, want %d", args, got, want)
		}
	}
}
