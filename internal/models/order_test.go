package models_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 28, 13, 0, 0, 0, time.UTC)
	tests := []struct {
		key   string
		order models.Order
	}{
		{"pause/sms", models.Order{Action: models.ActionPause, Channel: models.SMS}},
		{"pause/sms/lane/bulk/tenant/a%2Fb", models.Order{Action: models.ActionPause, Channel: models.SMS, Lane: models.LaneBulk, Tenant: "a/b"}},
		{"pause/email/provider/smtp", models.Order{Action: models.ActionPause, Channel: models.Email, Provider: "smtp"}},
		{"cancel/whatsapp/meta/campaign%3D1=a+b", models.Order{Action: models.ActionCancel, Channel: models.WhatsApp, Meta: map[string]string{"campaign=1": "a b"}}},
		{"cancel/message/7e57", models.Order{Action: models.ActionCancel, MessageID: "7e57"}},
		{"rate/sms", models.Order{Action: models.ActionRate, Channel: models.SMS, PerSecond: .5}},
	}
	for _, tt := range tests {
		want := tt.order
		want.Until, want.At, want.Reason, want.By = until, until.Add(-time.Hour), "wrong text", "ops@host"
		value, err := want.Encode()
		if err != nil {
			t.Fatalf("%s: %v", tt.key, err)
		}
		got, err := models.DecodeOrder([]byte(tt.key), value)
		if err != nil {
			t.Errorf("DecodeOrder(%q): %v", tt.key, err)
		} else if diff := cmp.Diff(&want, got); diff != "" {
			t.Errorf("DecodeOrder(%q) (-want +got):\n%s", tt.key, diff)
		}
	}
}

// What is not understood in whole is refused: an order with a part left out
// would stop more than was meant.
func TestOrderRefuses(t *testing.T) {
	t.Parallel()
	const rest = `"until":"2026-11-28T13:00:00Z","reason":"r","by":"b","at":"2026-11-28T12:00:00Z"}`
	tests := []struct{ key, value, want string }{
		{"pause/sms", `{"action":"pause","channel":"sms","region":"eu",` + rest, "region"},
		{"pause/sms", `{"action":"pause","channel":"email",` + rest, "key"},
		{"stop/sms", `{"action":"stop","channel":"sms",` + rest, "action"},
		{"pause/fax", `{"action":"pause","channel":"fax",` + rest, "channel"},
		{"pause/sms/lane/low", `{"action":"pause","channel":"sms","lane":"low",` + rest, "lane"},
		{"pause/message/1", `{"action":"pause","message_id":"1",` + rest, "message id"},
		{"cancel/message/1", `{"action":"cancel","message_id":"1","channel":"sms",` + rest, "message id"},
		{"pause/sms/tenant/a/provider/mock", `{"action":"pause","channel":"sms","tenant":"a","provider":"mock",` + rest, "at most one"},
		{"cancel/sms/provider/mock", `{"action":"cancel","channel":"sms","provider":"mock",` + rest, "provider"},
		{"rate/sms/lane/bulk", `{"action":"rate","channel":"sms","lane":"bulk","per_second":1,` + rest, "rate"},
		{"rate/sms", `{"action":"rate","channel":"sms",` + rest, "per_second"},
		{"pause/sms", `{"action":"pause","channel":"sms","per_second":1,` + rest, "per_second"},
		{"pause/sms", `{"action":"pause","channel":"sms","until":"2026-11-28T13:00:00Z"}`, "reason"},
		{"pause/sms", `{"action":"pause","channel":"sms","reason":"r"}`, "until"},
		{"pause/sms", `[]`, "decode"},
		{"pause/sms", ``, "decode"},
	}
	for _, tt := range tests {
		if _, err := models.DecodeOrder([]byte(tt.key), []byte(tt.value)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("DecodeOrder(%q, %s) = %v, want an error with %q", tt.key, tt.value, err, tt.want)
		}
	}
}
