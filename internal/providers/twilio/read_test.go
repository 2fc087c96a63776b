package twilio

import (
	"errors"
	"net/http"
	"testing"

	"messaging-worker/internal/providers/api"
)

// Any body at any status is a receipt, or an error with a class of the table
// or none. Only an acceptance can be a receipt; one that is
// neither that nor an error of the table says nothing.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		`{"sid":"SM1","status":"queued"}`, `{"sid":"SM1","status":null,"error_code":"0"}`, `{"sid":"SM1"}`, `{"sid":null}`, `{"sid":1}`,
		`{"sid":"SM1","status":"failed","error_code":"30007"}`, `{"sid":"SM1","status":"failed","error_code":{}}`, `{"sid":"SM1","status":400}`,
		`{"code":21211,"status":400}`, `{"code":"21211"}`, `{"code":21211.0}`, `{"code":null}`, `{"code":[]}`, `{"code":""}`,
		"\ufeff{\"code\":20429}", `{"code":20429} trailing`, `{"code":20429,`, `[]`, ``, `<html>`,
	} {
		for _, above100 := range []uint16{101, 300, 400} {
			f.Add(above100, []byte(body))
		}
	}
	c := New(Options{})
	f.Fuzz(func(t *testing.T, above100 uint16, body []byte) {
		a := &api.Answer{Status: 100 + int(above100%500), Header: http.Header{}, Body: body}
		accepted := a.Status >= 200 && a.Status < 300
		receipt, err := c.read(a)
		if err == nil {
			if !accepted || receipt.ID == "" || receipt.Message == "" {
				t.Fatalf("%d %q is a receipt: %+v", a.Status, body, receipt)
			}
			return
		}
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Status != a.Status || accepted && e.Class == "" && (e.Code != 0 || e.Message != "") {
			t.Fatalf("%d %q is %#v", a.Status, body, err)
		}
		if e.Code == 0 && e.Class != "" && !accepted { // there is no such code
			t.Fatalf("%d %q is %s without a code", a.Status, body, e.Class)
		}
	})
}
