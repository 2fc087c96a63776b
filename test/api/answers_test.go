package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/internal/providers/meta"
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
	return whatsappVia(metaAt(t, serve(t, h), nil))
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
			_, f := once(t, c, newRequest(kind, 1, text, ""))
			if f == nil || f.Class != tt.class || f.Err.Error() != tt.text || f.Unreachable != tt.unreach || f.Ambiguous != tt.ambiguous {
				t.Errorf("%+v, want %+v", f, tt)
			}
		})
	}
}

// A code is read where that can be done without doubt, whatever its type, and
// else is none: then the status decides. A member of an unexpected type spoils
// no other.
func TestAnswersOfUnexpectedTypes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		provider string
		status   int
		answer   string
		class    models.FailureType // empty where it is accepted
		unreach  bool
		accepted bool
		message  string
	}{
		{"meta", 400, `{"error":{"message":"m","code":"131026"}}`, models.FailurePermanent, false, false, "Meta 131026: m"},
		{"meta", 400, `{"error":{"code":131026.0}}`, models.FailurePermanent, false, false, "Meta 131026: "},
		{"meta", 500, `{"error":{"code":"131026","error_data":null}}`, models.FailurePermanent, false, false, "Meta 131026: "},
		{"meta", 400, `{"error":{"message":7,"fbtrace_id":{},"code":131026}}`, models.FailurePermanent, false, false, "Meta 131026: "},
		{"meta", 400, `{"error":{"code":"100","error_subcode":"33"}}`, models.FailureTransient, true, false, "Meta 100: "},
		{"meta", 400, `{"error":{"code":"999","is_transient":"true"}}`, models.FailureTransient, false, false, "Meta 999: "},
		{"meta", 400, `{"error":{"message":"m","type":"t","is_transient":true}}`, models.FailureTransient, false, false, "Meta: m"},
		{"meta", 400, `{"error":{"code":0}}`, models.FailureTransient, true, false, ""}, // a code of Meta's
		{"meta", 503, `{"error":{"code":"soon"}}`, models.FailureTransient, true, false, ""},
		{"meta", 500, `{"error":{"code":null}}`, models.FailureTransient, true, false, ""},
		{"meta", 429, `{"error":{"code":[4]}}`, models.FailureTransient, false, false, ""},
		{"meta", 500, `{"error":[{"code":131026}]}`, models.FailureTransient, true, false, ""},
		{"meta", 500, `{"error":"(#131026) undeliverable"}`, models.FailureTransient, true, false, ""},
		{"meta", 500, `{"error":null}`, models.FailureTransient, true, false, ""},
		{"meta", 400, "\ufeff" + `{"error":{"code":131026}}`, models.FailurePermanent, false, false, "Meta 131026: "},
		{"meta", 400, `{"error":{"code":131026}} <!-- 7 -->`, models.FailurePermanent, false, false, "Meta 131026: "},
		{"meta", 200, `{"messages":[{"id":"wamid.1","message_status":7}],"contacts":null}`, "", false, false, "accepted"},
		{"meta", 200, "\ufeff" + `{"messages":[{"id":"wamid.1"}]}` + "\n\x00", "", false, false, "accepted"},
		{"meta", 202, `{"messages":[{"id":"wamid.1","message_status":"held_for_quality_assessment"}]}`, "", false, false, "held_for_quality_assessment"},
		{"meta", 200, `{"messages":[]}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"messages":[{"id":null}]}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"messages":[{"id":7}]}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"messages":{"id":"wamid.1"}}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"messages":[{"id":"wamid.1"}]`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"error":{"code":"131026","message":"m"}}`, models.FailurePermanent, false, false, "Meta 131026: m"},
		{"meta", 200, `{"error":{"code":999999}}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"error":"x"}`, models.FailureUnknown, false, true, ""},
		{"meta", 200, `{"error":{"code":null},"messages":[{"id":"wamid.1"}]}`, "", false, false, "accepted"},

		{"twilio", 400, `{"code":"21211","message":"m","status":"400"}`, models.FailurePermanent, false, false, "Twilio 21211: m"},
		{"twilio", 400, `{"message":{},"code":21211.0}`, models.FailurePermanent, false, false, "Twilio 21211: "},
		{"twilio", 400, `{"code":"20003"}`, models.FailureTransient, true, false, "Twilio 20003: "},
		{"twilio", 429, `{"code":null,"message":"m"}`, models.FailureTransient, false, false, "Twilio: m"},
		{"twilio", 500, `{"code":{"code":21211}}`, models.FailureTransient, true, false, ""},
		{"twilio", 500, `[{"code":21211}]`, models.FailureTransient, true, false, ""},
		{"twilio", 201, `{"sid":"SM1","status":"queued","error_code":"0"}`, "", false, false, "queued"},
		{"twilio", 201, `{"sid":"SM1","error_code":"none","status":"queued"}`, "", false, false, "queued"},
		{"twilio", 201, `{"sid":"SM1","status":null}`, "", false, false, "accepted"},
		{"twilio", 201, `{"error_code":"","error_message":7,"sid":"SM1"}`, "", false, false, "accepted"},
		{"twilio", 201, `{"sid":"SM1","status":201}`, "", false, false, "accepted"},
		{"twilio", 200, "\ufeff" + `{"sid":"SM1","status":"queued"} `, "", false, false, "queued"},
		{"twilio", 201, `{"sid":"SM1","status":"failed","error_code":"30007"}`, models.FailurePermanent, false, false, "Twilio 30007: "},
		{"twilio", 201, `{"sid":"SM1","status":"failed","error_code":"30003"}`, models.FailureTransient, false, false, "Twilio 30003: "},
		{"twilio", 201, `{"sid":"SM1","status":"failed","error_code":[]}`, models.FailurePermanent, false, false, ""},
		{"twilio", 201, `{"sid":null,"status":"queued"}`, models.FailureUnknown, false, true, ""},
		{"twilio", 201, `{"sid":7,"status":"queued"}`, models.FailureUnknown, false, true, ""},
		{"twilio", 201, `[{"sid":"SM1"}]`, models.FailureUnknown, false, true, ""},
		{"twilio", 200, `{"code":"20429","message":"m"}`, models.FailureTransient, false, false, "Twilio 20429: m"},
		{"twilio", 200, `{"code":99999}`, models.FailureUnknown, false, true, ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.provider, tt.status, tt.answer), func(t *testing.T) {
			t.Parallel()
			c, kind := metaChannel(t, saying(tt.status, tt.answer)), "whatsapp"
			if tt.provider == "twilio" {
				c, kind = smsVia(twilioAt(t, serve(t, saying(tt.status, tt.answer)), nil)), "sms"
			}
			resp, f := once(t, c, newRequest(kind, 1, text, ""))
			switch {
			case tt.class == "" && f != nil, tt.class != "" && f == nil, resp.Message != tt.message:
				t.Errorf("%+v %v, want %q, %q", resp, f, tt.class, tt.message)
			case f != nil && (f.Class != tt.class || f.Unreachable != tt.unreach || f.Accepted != tt.accepted):
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
	_, f := once(t, smsVia(twilioAt(t, "http://"+l.Addr().String(), nil)), newRequest("sms", 1, text, ""))
	if f == nil || f.Class != models.FailureUnknown || !f.Ambiguous || f.Err.Error() != "a reply outside the protocol (may have been accepted)" {
		t.Errorf("%+v, want an unknown failure", f)
	}
}

// A certificate that nobody vouches for is named as the trouble.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	_, f := once(t, smsVia(twilioAt(t, s.URL, nil)), newRequest("sms", 1, text, ""))
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
		resp, f := once(t, c, newRequest("sms", 1, fmt.Sprintf(`{"content":%q}`, body), ""))
		if f == nil || strings.Contains(resp.Raw+resp.Message+f.Error(), "123456") {
			t.Errorf("%s: %+v %v", name, resp, f)
		}
	}
	long := strings.Repeat("secret 123456, ü ", 90)
	c := smsVia(twilioAt(t, serve(t, saying(400, `{"code":1,"body":"`+strings.ReplaceAll(strings.Repeat(long, 3), "ü", `\u00fc`)+`"}`)), nil))
	if resp, _ := once(t, c, newRequest("sms", 1, fmt.Sprintf(`{"content":%q}`, long), "")); strings.Contains(resp.Raw, "123456") {
		t.Errorf("long: %+v", resp)
	}
	c = metaChannel(t, saying(400, `{"error":{"code":132012,"message":"parameter secret-otp-998877 does not fit"}}`))
	resp, f := once(t, c, newRequest("whatsapp", 1, `{"type":"template","content":"order"}`, `"template.1":"secret-otp-998877"`))
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
	if _, f := once(t, c, newRequest("sms", 1, text, "")); f == nil || !f.Ambiguous {
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
	_, f := once(t, smsVia(twilioAt(t, serve(t, h), nil)), newRequest("sms", 1, text, ""))
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
	c := whatsappVia(m)
	template := `{"type":"template","content":"order"}`
	_, failure := once(t, c, newRequest("whatsapp", 1, template, `"template.1":"a","template.3":"c"`))
	if calls, _ := f.Calls(); failure == nil || failure.Class != models.FailurePermanent || calls != 0 {
		t.Errorf("a gap: %v after %d calls, want a refusal without any", failure, calls)
	}
	if _, failure = once(t, c, newRequest("whatsapp", 1, template, `"template.2":"b","template.1":"a"`)); failure != nil {
		t.Fatal(failure)
	}
	if got, want := f.Ledger()[0].Sent["biz_opaque_callback_data"], "1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61"; got != want {
		t.Errorf("callback data %q, want %q", got, want)
	}
}

// What fills a template's header, body and buttons goes out as the components
// that Meta publishes, a one-time code in the body and in the button; the fake
// takes them.
func TestMetaTemplateComponents(t *testing.T) {
	t.Parallel()
	const code = `{"type":"body","parameters":[{"type":"text","text":"123456"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"123456"}]}`
	tests := []struct{ name, meta, want string }{
		{"nothing", ``, ``},
		{"one-time code", `"template.1":"123456","template.button.0":" 123456 "`, code},
		{"header of text", `"template.header.text":"Ada"`, `{"type":"header","parameters":[{"type":"text","text":"Ada"}]}`},
		{"header and named body", `"template.name":"Ada","template.header.image":"https://example.com/a.png"`, `{"type":"header","parameters":[{"type":"image","image":{"link":"https://example.com/a.png"}}]},` +
			`{"type":"body","parameters":[{"type":"text","text":"Ada","parameter_name":"name"}]}`},
		{"video", `"template.header.video":"https://example.com/a.mp4"`, `{"type":"header","parameters":[{"type":"video","video":{"link":"https://example.com/a.mp4"}}]}`},
		{"document", `"template.header.document":"https://example.com/a.pdf"`, `{"type":"header","parameters":[{"type":"document","document":{"link":"https://example.com/a.pdf"}}]}`},
		{"buttons", `"template.button.9":"c","template.button.0":"a","template.button.2":"b"`, `{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"a"}]},` +
			`{"type":"button","sub_type":"url","index":"2","parameters":[{"type":"text","text":"b"}]},{"type":"button","sub_type":"url","index":"9","parameters":[{"type":"text","text":"c"}]}`},
		{"names that begin alike", `"template.header":"a","template.buttons":"b"`, `{"type":"body","parameters":[{"type":"text","text":"b","parameter_name":"buttons"},{"type":"text","text":"a","parameter_name":"header"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inner := fake.Meta("v23.0", secret, "100")
			var body []byte
			c := metaChannel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ = io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				inner.ServeHTTP(w, r)
			}))
			if resp, f := once(t, c, newRequest("whatsapp", 1, `{"type":"template","content":"otp"}`, tt.meta)); f != nil {
				t.Fatalf("%v %+v", f, resp)
			}
			want := `{"name":"otp","language":{"policy":"deterministic","code":"en_US"}}`
			if tt.want != "" {
				want = want[:len(want)-1] + `,"components":[` + tt.want + `]}`
			}
			var got struct {
				Template any `json:"template"`
			}
			var wanted any
			if err := errors.Join(json.Unmarshal(body, &got), json.Unmarshal([]byte(want), &wanted)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got.Template); diff != "" {
				t.Errorf("template (-want +got):\n%s", diff)
			}
		})
	}
}
