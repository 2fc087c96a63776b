package meta

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"messaging-worker/internal/providers/api"
)

// Any body at any status is a receipt, or an error with a class of the table
// or none. Only an acceptance can be a receipt; one that is neither that nor a
// known error says nothing, and a code is there in the answer as it says.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		`{"messages":[{"id":"wamid.1","message_status":"accepted"}]}`, `{"messages":[]}`, `{"messages":[{}]}`, `{"messages":{"id":"wamid.1"}}`,
		`{"error":{"code":131026}}`, `{"error":{"code":"131026"}}`, `{"error":{"code":131026.0,"is_transient":"true"}}`, `{"error":{"code":null}}`,
		`{"error":{"code":0}}`, `{"error":{"code":{}}}`, `{"error":"x"}`, `{"error":[{"code":1}]}`, `{"error":null}`, `{"error":{"code":100,"error_subcode":"33"}}`,
		"\ufeff{\"error\":{\"code\":4}}", `{"error":{"code":4}} trailing`, `{"error":{"code":4`, `[]`, ``, `<html>`,
	} {
		for _, above100 := range []uint16{100, 300, 400} {
			f.Add(above100, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, above100 uint16, body []byte) {
		a := &api.Answer{Status: 100 + int(above100%500), Header: http.Header{}, Body: body}
		accepted := a.Status >= 200 && a.Status < 300
		receipt, err := read(a)
		if err == nil {
			if !accepted || receipt.ID == "" || receipt.Message == "" {
				t.Fatalf("%d %q is a receipt: %+v", a.Status, body, receipt)
			}
			return
		}
		e, ok := errors.AsType[*api.Error](err)
		switch {
		case !ok, e.Status != a.Status, accepted && e.Class == "" && (e.Code != 0 || e.Message != ""):
			t.Fatalf("%d %q is %#v", a.Status, body, err)
		case e.Code == 0 && e.Class != "" && e.Class != api.Transient && !says(body, 0), e.Code != 0 && !says(body, e.Code):
			t.Fatalf("%d %q has code %d, %s", a.Status, body, e.Code, e.Class)
		}
	})
}

// says reports by another reading whether an error has that code. What it
// cannot read may say anything.
func says(body []byte, code int) bool {
	var r struct {
		Error map[string]any `json:"error"`
	}
	if json.Unmarshal(body, &r) != nil {
		return true
	}
	switch said := r.Error["code"].(type) {
	case float64:
		return said == float64(code)
	case string:
		x, err := strconv.ParseFloat(strings.TrimSpace(said), 64)
		return err == nil && x == float64(code)
	}
	return false
}
