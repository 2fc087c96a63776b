package validation_test

import (
	"testing"

	"github.com/go-json-experiment/json"

	"messaging-worker/internal/models"
)

// The schema of orders accepts and refuses what the workers do.
func TestOrderSchemaDecidesLikeTheWorkers(t *testing.T) {
	t.Parallel()
	const rest = `"until":"2026-11-28T13:00:00Z","reason":"r","by":"b","at":"2026-11-28T12:00:00Z"}`
	const id = `"message_id":"49787c3d-5ef1-4b31-88a1-0a42e53e1fb3"`
	schema := compile(t, "order.schema.json")
	for value, ok := range map[string]bool{
		`{"action":"pause","channel":"sms",` + rest:                                         true,
		`{"action":"pause","channel":"email","lane":"bulk","tenant":"a",` + rest:            true,
		`{"action":"pause","channel":"email","provider":"smtp",` + rest:                     true,
		`{"action":"cancel","channel":"whatsapp","lane":"high","meta":{"k":""},` + rest:     true,
		`{"action":"cancel",` + id + `,` + rest:                                             true,
		`{"action":"rate","channel":"sms","provider":"mock","per_second":0.5,` + rest:       true,
		`{"action":"pause",` + rest:                                                         false,
		`{"action":"stop","channel":"sms",` + rest:                                          false,
		`{"action":"pause","channel":"fax",` + rest:                                         false,
		`{"action":"pause","channel":"sms","lane":"low",` + rest:                            false,
		`{"action":"pause","channel":"sms","region":"eu",` + rest:                           false,
		`{"action":"pause",` + id + `,` + rest:                                              false,
		`{"action":"cancel","channel":"sms",` + id + `,` + rest:                             false,
		`{"action":"cancel","tenant":"a",` + id + `,` + rest:                                false,
		`{"action":"cancel","channel":"sms","provider":"mock",` + rest:                      false,
		`{"action":"pause","channel":"sms","tenant":"a","provider":"mock",` + rest:          false,
		`{"action":"pause","channel":"sms","tenant":"a","meta":{"k":"v"},` + rest:           false,
		`{"action":"pause","channel":"sms","provider":"a","meta":{"k":"v"},` + rest:         false,
		`{"action":"pause","channel":"sms","meta":{"k":"v","l":"w"},` + rest:                false,
		`{"action":"pause","channel":"sms","per_second":1,` + rest:                          false,
		`{"action":"rate","channel":"sms",` + rest:                                          false,
		`{"action":"rate","channel":"sms","per_second":0,` + rest:                           false,
		`{"action":"rate","channel":"sms","per_second":1,"lane":"bulk",` + rest:             false,
		`{"action":"rate","channel":"sms","per_second":1,"tenant":"a",` + rest:              false,
		`{"action":"pause","channel":"sms","until":"2026-11-28T13:00:00Z","by":"b"}`:        false,
		`{"action":"pause","channel":"sms","reason":"r","by":"b","at":"2026-11-28T13:00Z"}`: false,
		`[]`: false,
	} {
		var o models.Order
		_ = json.Unmarshal([]byte(value), &o) // for its key; DecodeOrder judges
		_, err := models.DecodeOrder([]byte(o.Key()), []byte(value))
		if verdict := against(schema, []byte(value)); (err == nil) != ok || (verdict == nil) != ok {
			t.Errorf("%s: the worker says %v, the schema %v, want ok %v", value, err, verdict, ok)
		}
	}
}
