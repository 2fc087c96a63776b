package msgctl_test

import (
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/test/stage"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	s := stage.New(t, models.SMS, stage.Options{NoTopics: true})
	r := succeeds(t, msgctl(t, s, "", "explain", "twilio", "30003"))
	golden(t, s, "explain-twilio-30003", r.out)
	if r := msgctl(t, s, "", "explain", "twilio"); r.code != 2 {
		t.Errorf("explain without a code exits %d, want 2: %s", r.code, r.err)
	}
}
