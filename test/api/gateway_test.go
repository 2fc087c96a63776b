package api_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// A 4xx that is not in the provider's own form was given by somebody between,
// who has not shown the message to the provider; so was every 407.
func TestAnswersOfGateways(t *testing.T) {
	t.Parallel()
	const page = "<html><head><title>Not Found</title></head><body>nginx</body></html>"
	twilio := func(h http.Handler) worker.Channel { return smsVia(twilioAt(t, serve(t, h), nil)) }
	meta := func(h http.Handler) worker.Channel { return metaChannel(t, h) }
	tests := []struct {
		name    string
		channel func(http.Handler) worker.Channel
		kind    string
		body    string
		foreign bool
	}{
		{"Twilio, a page", twilio, "sms", page, true},
		{"Twilio, nothing", twilio, "sms", "", true},
		{"Twilio, another's JSON", twilio, "sms", `{"message":"no Route matched with those values"}`, true},
		{"Twilio, another's codes", twilio, "sms", `{"code":"rest_no_route","message":"no","data":{"status":404}}`, true},
		{"Twilio, the status for a code", twilio, "sms", `{"code":%d,"message":"Not Found"}`, true},
		{"Twilio, a framework's", twilio, "sms", `{"status":%d,"error":"Not Found","message":"no such path"}`, true},
		{"Twilio, Meta's form", twilio, "sms", `{"error":{"code":100,"message":"m"}}`, true},
		{"Twilio, its own", twilio, "sms", `{"code":99999,"message":"m","status":400}`, false},
		{"Twilio, its own without a code", twilio, "sms", `{"message":"m","more_info":"i","status":%d}`, false},
		{"Twilio, its own with none", twilio, "sms", `{"code":null,"message":"m","status":"%d"}`, false},
		{"Twilio, its own with one that is no number", twilio, "sms", `{"code":{},"message":"m","status":%d}`, false},
		{"Twilio, a code of its table", twilio, "sms", `{"code":21606,"message":"m","status":400}`, false},
		{"Meta, a page", meta, "whatsapp", page, true},
		{"Meta, nothing", meta, "whatsapp", "", true},
		{"Meta, a text", meta, "whatsapp", `{"error":"not found"}`, true},
		{"Meta, the status for a code", meta, "whatsapp", `{"error":{"code":"%d","message":"m"}}`, true},
		{"Meta, another's error", meta, "whatsapp", `{"error":{"message":"m"}}`, true},
		{"Meta, its own without a code", meta, "whatsapp", `{"error":{"message":"m","type":"OAuthException"}}`, false},
		{"Meta, its own with none", meta, "whatsapp", `{"error":{"code":null,"message":"m","fbtrace_id":"A"}}`, false},
		{"Meta, its own", meta, "whatsapp", `{"error":{"code":999999,"message":"m"}}`, false},
	}
	for _, tt := range tests {
		for _, status := range []int{400, 404, 405, 407, 410, 418} {
			body := strings.Replace(tt.body, "%d", strconv.Itoa(status), 1)
			_, f := once(t, tt.channel(saying(status, body)), newRequest(tt.kind, 1, text, ""))
			if f == nil {
				t.Fatalf("%s with %d: accepted", tt.name, status)
			}
			if tt.foreign || status == http.StatusProxyAuthRequired {
				want := fmt.Sprintf("http %d from a gateway", status)
				if f.Class != models.FailureTransient || !f.Unreachable || f.Ambiguous || f.Unexplained != "" || f.Err.Error() != want {
					t.Errorf("%s with %d: %+v, want a gateway's", tt.name, status, f)
				}
				continue
			}
			if f.Class != models.FailurePermanent || f.Unreachable || f.Unexplained == "" {
				t.Errorf("%s with %d: %+v, want an unexplained refusal", tt.name, status, f)
			}
		}
	}
}

// Codes of the Graph API that say nothing of the message, as it gives them:
// with 400. A wrong META_API_VERSION is among them.
func TestGraphCodesThatAreNotTheMessages(t *testing.T) {
	t.Parallel()
	for code, throttled := range map[int]bool{102: false, 341: true, 613: true, 80008: true, 2500: false, 803: false, 12: false, 32: true} {
		h := saying(400, fmt.Sprintf(`{"error":{"message":"(#%d) m","type":"OAuthException","code":%d,"fbtrace_id":"A"}}`, code, code))
		_, f := once(t, metaChannel(t, h), newRequest("whatsapp", 1, text, ""))
		if f == nil || f.Class != models.FailureTransient || f.Throttle != throttled || f.Unreachable == throttled || f.Credentials != (code == 102) {
			t.Errorf("%d: %+v, want transient, throttled %v", code, f, throttled)
		}
	}
}

// Redirects are not followed: a base URL that leads to one is wrong, and no
// message is at fault.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 307, 308} {
		_, f := once(t, smsVia(twilioAt(t, serve(t, saying(status, "")), nil)), newRequest("sms", 1, text, ""))
		if f == nil || f.Class != models.FailureUnknown || !f.Unreachable {
			t.Errorf("%d: %+v, want a failure of the way", status, f)
		}
	}
}
