package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/whatsapp"
	"messaging-worker/internal/worker"
)

// saying is a provider that answers all calls alike.
func saying(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func metaChannel(t *testing.T, h http.Handler) worker.Channel {
	t.Helper()
	return whatsappVia(whatsapp.NewMeta(metaAt(t, serve(t, h), nil)))
}

// What an answer means where its code and its status do not say the same.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	graph := func(code, subcode int) string {
		return fmt.Sprintf(`{"error":{"message":"m","code":%d,"error_subcode":%d}}`, code, subcode)
	}
	tests := []struct {
		name      string
		meta      bool
		answer    http.Handler
		class     models.FailureType
		text      string
		unreach   bool
		ambiguous bool
	}{
		{"phone number id unknown", true, saying(400, graph(100, 33)), models.FailureTransient, "http 400", true, false},
		{"invalid parameter", true, saying(400, graph(100, 0)), models.FailurePermanent, "http 400", false, false},
		{"any permission", true, saying(400, graph(299, 0)), models.FailureTransient, "http 400", true, false},
		{"permission missing, with 500", true, saying(500, graph(3, 0)), models.FailureTransient, "http 500", true, false},
		{"undeliverable, with 500", true, saying(500, graph(131026, 0)), models.FailurePermanent, "http 500", false, false},
		{"service down", true, saying(500, graph(2, 0)), models.FailureTransient, "http 500 (may have been accepted)", true, true},
		{"created and failed", false, saying(201, `{"sid":"SM1","status":"failed","error_code":30007}`), models.FailurePermanent, "http 201 (Twilio 30007)", false, false},
		{"created and failed for now", false, saying(201, `{"sid":"SM1","status":"failed","error_code":30003}`), models.FailureTransient, "http 201 (Twilio 30003)", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, kind := metaChannel(t, tt.answer), "whatsapp"
			if !tt.meta {
				c, kind = smsVia(twilioAt(t, serve(t, tt.answer), nil)), "sms"
			}
			_, f := once(t, c, request(kind, 1, text, ""))
			if f == nil || f.Class != tt.class || f.Err.Error() != tt.text || f.Unreachable != tt.unreach || f.Ambiguous != tt.ambiguous {
				t.Errorf("%+v, want %+v", f, tt)
			}
		})
	}
}

// What is no HTTP at all cannot be classified, and may have been accepted.
func TestNoHTTP(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n")
			_ = conn.Close()
		}
	}()
	_, f := once(t, smsVia(twilioAt(t, "http://"+l.Addr().String(), nil)), request("sms", 1, text, ""))
	if f == nil || f.Class != models.FailureUnknown || !f.Ambiguous || f.Err.Error() != "a reply outside the protocol (may have been accepted)" {
		t.Errorf("%+v, want an unknown failure", f)
	}
}

// A certificate that nobody vouches for is named as the trouble.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, f := once(t, smsVia(twilioAt(t, s.URL, nil)), request("sms", 1, text, ""))
	if f == nil || f.Class != models.FailureTransient || f.Ambiguous || !f.Unreachable || f.Err.Error() != "TLS: certificate of an unknown authority" {
		t.Errorf("%+v, want a transient failure that names the certificate", f)
	}
}

// Whatever an answer quotes of the request, and however it writes it, stays
// out of response and error.
func TestAnswersThatQuoteTheRequest(t *testing.T) {
	t.Parallel()
	const body = "Dear Zoë 🎉, your \"code\" is 123456: a/b?c&d\nBye"
	const escaped = `Dear Zo\u00eb \ud83c\udf89, your \"code\" is 123456: a\/b?c&d\nBye`
	const pedantic = `Dear Zo\u00EB \uD83C\uDF89, your \u0022code\u0022 is 123456: a/b?c\u0026d\nBye`
	for name, answer := range map[string]string{
		"plain":   fmt.Sprintf(`{"sid":"SM1","status":"failed","error_code":30007,"body":%q}`, body),
		"escaped": `{"sid":"SM1","status":"failed","error_code":30007,"body":"` + escaped + `"}`,
		"upper":   `{"sid":"SM1","status":"failed","error_code":30007,"body":"` + pedantic + `"}`,
		"unread":  `{"body":"` + escaped + `"`,
	} {
		c := smsVia(twilioAt(t, serve(t, saying(201, answer)), nil))
		resp, f := once(t, c, request("sms", 1, fmt.Sprintf(`{"content":%q}`, body), ""))
		if f == nil || strings.Contains(resp.Raw+resp.Message+f.Error(), "123456") {
			t.Errorf("%s: %+v %v", name, resp, f)
		}
	}
	long := strings.Repeat("secret 123456, ü ", 90)
	c := smsVia(twilioAt(t, serve(t, saying(400, `{"code":1,"body":"`+strings.ReplaceAll(strings.Repeat(long, 3), "ü", `\u00fc`)+`"}`)), nil))
	if resp, _ := once(t, c, request("sms", 1, fmt.Sprintf(`{"content":%q}`, long), "")); strings.Contains(resp.Raw, "123456") {
		t.Errorf("long: %+v", resp)
	}
	c = metaChannel(t, saying(400, `{"error":{"code":132012,"message":"parameter secret-otp-998877 does not fit"}}`))
	resp, f := once(t, c, request("whatsapp", 1, `{"type":"template","content":"order"}`, `"template.1":"secret-otp-998877"`))
	if f == nil || strings.Contains(resp.Raw+resp.Message+f.Error(), "998877") {
		t.Errorf("template: %+v %v", resp, f)
	}
}

// Headers without end cost no memory.
func TestFloodOfHeaders(t *testing.T) {
	t.Parallel()
	flood := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 1000 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 4096))
		}
		w.WriteHeader(http.StatusCreated)
	})
	c := smsVia(twilioAt(t, serve(t, flood), nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, f := once(t, c, request("sms", 1, text, "")); f == nil || !f.Ambiguous {
		t.Errorf("%+v, want an ambiguous failure", f)
	}
	runtime.ReadMemStats(&after)
	t.Logf("%d KiB allocated, the server's part included", (after.TotalAlloc-before.TotalAlloc)>>10)
}

// A Retry-After beyond all numbers is a long one.
func TestEndlessRetryAfter(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "99999999999999999999")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, f := once(t, smsVia(twilioAt(t, serve(t, h), nil)), request("sms", 1, text, ""))
	if f == nil || f.RetryAfter < 10*time.Minute {
		t.Errorf("%+v, want a long wait", f)
	}
}

// Meta gets the message id as it is, and no template whose variables have a
// gap.
func TestMetaTemplates(t *testing.T) {
	t.Parallel()
	f := fake.Meta("v23.0", secret, "100")
	m := metaAt(t, serve(t, f), func(o *meta.Options) { o.CallbackData = true })
	c := whatsappVia(whatsapp.NewMeta(m))
	template := `{"type":"template","content":"order"}`
	_, failure := once(t, c, request("whatsapp", 1, template, `"template.1":"a","template.3":"c"`))
	if calls, _ := f.Calls(); failure == nil || failure.Class != models.FailurePermanent || calls != 0 {
		t.Errorf("a gap: %v after %d calls, want a refusal without any", failure, calls)
	}
	if _, failure = once(t, c, request("whatsapp", 1, template, `"template.2":"b","template.1":"a"`)); failure != nil {
		t.Fatal(failure)
	}
	if got, want := f.Ledger()[0].Sent["biz_opaque_callback_data"], "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"; got != want {
		t.Errorf("callback data %q, want %q", got, want)
	}
}
