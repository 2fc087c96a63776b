package models_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
)

func TestLift(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 28, 13, 0, 0, 5e6, time.UTC)
	for _, want := range []models.Lift{
		{Action: models.ActionPause, Scope: "sms/tenant/a%2Fb", By: "ops@host", Reason: "over", At: at},
		{Action: models.ActionCancel, Scope: "message/7e57"},
	} {
		got, err := models.DecodeLift([]byte(want.Key()), want.Headers())
		if err != nil {
			t.Errorf("DecodeLift(%q): %v", want.Key(), err)
		} else if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("DecodeLift(%q) (-want +got):\n%s", want.Key(), diff)
		}
	}
	foreign := []models.Header{{Key: "at", Value: []byte("yesterday")}, {Key: "other"}}
	if l, err := models.DecodeLift([]byte("rate/sms"), foreign); err != nil || !l.At.IsZero() {
		t.Errorf("DecodeLift with foreign headers = %+v, %v, want no time", l, err)
	}
	for _, key := range []string{"", "pause", "pause/", "stop/sms"} {
		if l, err := models.DecodeLift[models.Header]([]byte(key), nil); err == nil {
			t.Errorf("DecodeLift(%q) = %+v, want an error", key, l)
		}
	}
}
