// Package api_test sends through the real Twilio and Meta clients to fakes of
// both over HTTP, with the adapters and the engine of a worker in front.
package api_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	smsadapter "messaging-worker/internal/adapters/sms"
	whatsappadapter "messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

const (
	account = "AC00000000000000000000000000000001"
	secret  = "s3cr3t-token"
)

func limits() request.Limits {
	return request.Limits{
		MessageBytes: 1 << 20, Recipients: 100, BodyBytes: 1 << 20, SMSBodyRunes: 1600, WhatsAppBodyBytes: 4096,
		SubjectRunes: 255, MetaEntries: 50, MetaKeyRunes: 128, MetaValueRunes: 1024,
	}
}

func password() (string, error) { return secret, nil }

// serve runs a fake.
func serve(t *testing.T, s http.Handler) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return server.URL
}

func twilioAt(t *testing.T, url string, change func(*twilio.Options)) *twilio.Client {
	t.Helper()
	o := twilio.Options{BaseURL: url, AccountSID: account, Password: password, Concurrency: 10}
	if change != nil {
		change(&o)
	}
	c := twilio.New(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func metaAt(t *testing.T, url string, change func(*meta.Options)) *meta.Client {
	t.Helper()
	o := meta.Options{BaseURL: url, Version: "v23.0", Token: password, PhoneNumberID: "100", Concurrency: 10}
	if change != nil {
		change(&o)
	}
	c := meta.New(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// kafka is a publisher that keeps what it is given.
type kafka struct {
	mu      sync.Mutex
	events  []models.StatusEvent
	letters []models.DLQRecord
}

func (k *kafka) Status(_ context.Context, _ *models.Record, ev *models.StatusEvent) worker.Ack {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, *ev)
	return acked{}
}

func (k *kafka) DLQ(_ context.Context, _ *models.Record, rec *models.DLQRecord) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.letters = append(k.letters, *rec)
	return nil
}

func (k *kafka) last() models.StatusEvent { return k.events[len(k.events)-1] }

type acked struct{}

func (acked) Wait(context.Context) error { return nil }

// ours is a lease that nobody disputes.
type ours struct{}

func (ours) AtMostOnce() bool                       { return false }
func (ours) CommitBeforeCall(context.Context) error { return nil }
func (ours) Await(context.Context) error            { return nil }
func (ours) Checkpoint(message.Resolved)            {}

func (ours) Yield(wait func() error) error { return wait() }

// run takes one request through the engine. Limit is that of a call.
func run(t *testing.T, c worker.Channel, concurrency int, limit time.Duration, dlq bool, value string) *kafka {
	t.Helper()
	k := &kafka{}
	e := worker.New(c, k, route.New(route.Options{Concurrency: concurrency}), worker.Options{
		Channel: models.SMS, MaxAttempts: 3, Backoff: worker.Backoff{Base: time.Millisecond, Max: time.Millisecond},
		CallTimeout: limit, RetryAfterMax: 10 * time.Minute, AmbiguousToDLQ: dlq,
	})
	rec := &models.Record{Topic: "r", Value: []byte(value), Timestamp: time.Now()}
	if err := e.Handle(lifetime.New(t.Context()), rec, message.Progress{}, ours{}); err != nil {
		t.Fatal(err)
	}
	return k
}

// timeout is the limit of a call that hangs, and what the adapters are told;
// patience that of all others, which never take it on the busiest machine.
const (
	timeout  = 2 * time.Second
	patience = time.Minute
)

// limit is that of a call to a fake that suffers from f.
func limit(f fake.Fault) time.Duration {
	if f == fake.HangBefore || f == fake.HangAfter {
		return timeout
	}
	return patience
}

func smsVia(c *twilio.Client) worker.Channel {
	return smsadapter.New(c, limits(), timeout)
}

func whatsappVia(p phone.Provider) worker.Channel {
	return whatsappadapter.New(p, limits(), timeout)
}

func newRequest(channel string, recipients int, body, metaEntries string) string {
	var to []string
	for i := range recipients {
		to = append(to, fmt.Sprintf(`"+1555000%04d"`, i))
	}
	return fmt.Sprintf(`{"message_id":"1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61","channel":%q,"created_at":"2025-10-16T09:31:15Z",`+
		`"from":"+15551234567","to":[%s],"body":%s,"meta":{%s}}`, channel, strings.Join(to, ","), body, metaEntries)
}

const text = `{"content":"Your code is 123456."}`

// Ten recipients, the third failing once: eleven calls, and each number has
// the message once.
func TestOnlyTheOpenRecipientIsCalledAgain(t *testing.T) {
	t.Parallel()
	f := fake.Twilio(account, account, secret)
	failed := false
	f.Next = func(call int) fake.Fault {
		if call == 3 && !failed {
			failed = true
			return fake.Broken
		}
		return ""
	}
	k := run(t, smsVia(twilioAt(t, serve(t, f), nil)), 10, patience, false, newRequest("sms", 10, text, ""))
	calls, _ := f.Calls()
	var got []string
	for _, a := range f.Ledger() {
		got = append(got, a.To)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 10 || len(got) != 10 || calls != 11 {
		t.Errorf("%d calls, accepted %v, want 11 calls and ten numbers once", calls, got)
	}
	last := k.last()
	if last.EventType != models.EventSent || last.Attempt != 2 || last.ProviderResponse.Meta["accepted"] != "10" {
		t.Errorf("ends with %s %d %+v", last.EventType, last.Attempt, last.ProviderResponse)
	}
	for i := range 10 {
		if sid := last.ProviderResponse.Meta[fmt.Sprintf("sid.+1555000%04d", i)]; !strings.HasPrefix(sid, "SM") {
			t.Errorf("recipient %d has no sid in %v", i, last.ProviderResponse.Meta)
		}
	}
}

// A hundred recipients never have more calls under way than there are slots.
func TestSlotsBoundTheCalls(t *testing.T) {
	t.Parallel()
	f := fake.Meta("v23.0", secret, "100")
	f.Latency = 5 * time.Millisecond
	k := run(t, whatsappVia(metaAt(t, serve(t, f), nil)), 10, patience, false, newRequest("whatsapp", 100, text, ""))
	if calls, atOnce := f.Calls(); calls != 100 || atOnce > 10 || len(f.Ledger()) != 100 {
		t.Errorf("%d calls, %d at once, %d accepted, want 100, at most 10, 100", calls, atOnce, len(f.Ledger()))
	}
	if k.last().EventType != models.EventSent {
		t.Errorf("ends with %+v", k.last())
	}
}

// What each way of failing is taken for.
func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault     fake.Fault
		class     models.FailureType
		status    string
		text      string
		unreach   bool
		ambiguous bool
		after     time.Duration
	}{
		{fake.Throttle, models.FailureTransient, models.StatusRateLimited, "http 429", false, false, 2 * time.Second},
		{fake.Broken, models.FailureTransient, models.StatusUnavailable, "http 500 (may have been accepted)", true, true, 0},
		{fake.Gateway, models.FailureTransient, models.StatusUnavailable, "http 502 (may have been accepted)", true, true, 0},
		{fake.HangBefore, models.FailureTransient, models.StatusTimeout, "timeout after 2s (may have been accepted)", true, true, 0},
		{fake.HangAfter, models.FailureTransient, models.StatusTimeout, "timeout after 2s (may have been accepted)", true, true, 0},
		{fake.Cut, models.FailureTransient, models.StatusUnavailable, "connection lost (may have been accepted)", true, true, 0},
		{fake.Flood, models.FailureTransient, models.StatusUnavailable, "http 400 from a gateway", true, false, 0},
		{fake.Lie, models.FailureUnknown, models.StatusUnknown, "with an unreadable body", false, false, 0},
		{fake.Unauthorize, models.FailureTransient, models.StatusUnavailable, "http 401", true, false, 0},
	}
	for _, tt := range tests {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			for name, make := range map[string]func(url string) (*fake.Server, func(string) worker.Channel){
				"twilio": func(string) (*fake.Server, func(string) worker.Channel) {
					return fake.Twilio(account, account, secret), func(url string) worker.Channel { return smsVia(twilioAt(t, url, nil)) }
				},
				"meta": func(string) (*fake.Server, func(string) worker.Channel) {
					return fake.Meta("v23.0", secret, "100"), func(url string) worker.Channel {
						return whatsappVia(metaAt(t, url, nil))
					}
				},
			} {
				f, channel := make("")
				f.Next = func(int) fake.Fault { return tt.fault }
				kind := map[string]string{"twilio": "sms", "meta": "whatsapp"}[name]
				resp, failure := within(t, limit(tt.fault), channel(serve(t, f)), newRequest(kind, 1, text, ""))
				if failure == nil {
					t.Fatalf("%s: no failure", name)
				}
				if failure.Class != tt.class || resp.Status != tt.status || !strings.Contains(failure.Err.Error(), tt.text) ||
					failure.Throttle != (tt.fault == fake.Throttle) || failure.Unreachable != tt.unreach || failure.Ambiguous != tt.ambiguous || failure.RetryAfter != tt.after {
					t.Errorf("%s: %+v with %q, want %+v", name, *failure, failure.Err, tt)
				}
				if strings.Contains(failure.Error()+resp.Message+resp.Raw, "+1555") || strings.Contains(resp.Raw, secret) {
					t.Errorf("%s: private text in %q %+v", name, failure, resp)
				}
			}
		})
	}
}

// once makes one call for the first recipient.
func once(t *testing.T, c worker.Channel, value string) (models.ProviderResponse, *common.Failure) {
	t.Helper()
	return within(t, patience, c, value)
}

func within(t *testing.T, limit time.Duration, c worker.Channel, value string) (models.ProviderResponse, *common.Failure) {
	t.Helper()
	d, err := c.Decode(&models.Record{Value: []byte(value)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	resp, err := d.Send(ctx, common.Call{Attempt: 1, Recipients: d.Units[0]})
	f, _ := errors.AsType[*common.Failure](err)
	return resp, f
}

// Where nobody listens nothing can have been accepted.
func TestCertainlyNotSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	for name, url := range map[string]string{"refused": "http://" + address, "no such host": "http://nobody.invalid", "no TLS": "https://" + serveAddress(t)} {
		_, f := once(t, smsVia(twilioAt(t, url, nil)), newRequest("sms", 1, text, ""))
		if f == nil || f.Class != models.FailureTransient || f.Ambiguous || !f.Unreachable {
			t.Errorf("%s: %+v, want a transient failure that was certainly not sent", name, f)
		}
	}
}

// serveAddress is an HTTP server that speaks no TLS.
func serveAddress(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(serve(t, http.NotFoundHandler()), "http://")
}

// With AMBIGUOUS_OUTCOME=dlq a call that may have been accepted is not made
// again; one that was certainly not sent is.
func TestAmbiguousOutcome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault fake.Fault
		dlq   bool
		calls int
		end   models.EventType
		class models.FailureType
	}{
		{fake.HangAfter, true, 1, models.EventFailed, models.FailureUnknown},
		{fake.Broken, true, 1, models.EventFailed, models.FailureUnknown},
		{fake.Broken, false, 3, models.EventFailed, models.FailureTransient},
		{fake.Unauthorize, true, 3, models.EventFailed, models.FailureTransient},
	} {
		f := fake.Twilio(account, account, secret)
		f.Next = func(int) fake.Fault { return tt.fault }
		k := run(t, smsVia(twilioAt(t, serve(t, f), nil)), 1, limit(tt.fault), tt.dlq, newRequest("sms", 1, text, ""))
		calls, _ := f.Calls()
		if calls != tt.calls || k.last().EventType != tt.end || k.letters[0].FailureType != tt.class {
			t.Errorf("%s with dlq %v: %d calls, %s, %s, want %+v", tt.fault, tt.dlq, calls, k.last().EventType, k.letters[0].FailureType, tt)
		}
	}
}

// A message that Twilio creates and fails at once has failed.
func TestFailedAtOnce(t *testing.T) {
	t.Parallel()
	f := fake.Twilio(account, account, secret)
	f.Next = func(int) fake.Fault { return fake.FailAtOnce }
	resp, failure := once(t, smsVia(twilioAt(t, serve(t, f), nil)), newRequest("sms", 1, text, ""))
	if failure == nil || failure.Class != models.FailurePermanent || !strings.Contains(resp.Message, "Twilio 30007") {
		t.Errorf("%+v %v, want a permanent failure with Twilio's code", resp, failure)
	}
}

// Twilio's magic numbers go through the table of codes.
func TestMagicNumbers(t *testing.T) {
	t.Parallel()
	url := serve(t, fake.Twilio(account, account, secret))
	for to, code := range map[string]string{"+15005550001": "21211", "+15005550004": "21610", "+15005550009": "21614"} {
		value := strings.ReplaceAll(newRequest("sms", 1, text, ""), "+15550000000", to)
		resp, f := once(t, smsVia(twilioAt(t, url, nil)), value)
		if f == nil || f.Class != models.FailurePermanent || !strings.Contains(resp.Message, "Twilio "+code) {
			t.Errorf("%s: %+v %v, want Twilio %s", to, resp, f, code)
		}
	}
	value := strings.Replace(newRequest("sms", 1, text, ""), "+15551234567", "+15005550008", 1)
	if resp, f := once(t, smsVia(twilioAt(t, url, nil)), value); f == nil || f.Class != models.FailureTransient || resp.Status != models.StatusRateLimited {
		t.Errorf("a full queue: %+v %v, want it throttled", resp, f)
	}
}

// What the providers are sent, field by field; the fakes hold it to the
// published fields as well.
func TestFields(t *testing.T) {
	t.Parallel()
	const hx = "HX0123456789abcdef0123456789abcdef"
	tests := []struct {
		name, provider, body, meta string
		want                       map[string]string
	}{
		{"text", "twilio", text, "", map[string]string{"Body": "Your code is 123456."}},
		{"template by name", "twilio", `{"type":"template","content":"order"}`, `"template.1":"A1","template.2":"B"`, map[string]string{"ContentSid": hx, "ContentVariables": `{"1":"A1","2":"B"}`}},
		{"template by SID", "twilio", `{"type":"template","content":"` + hx + `"}`, `"template.language":"de"`, map[string]string{"ContentSid": hx}},
		{"media", "twilio", `{"type":"media","content":"https://example.com/a.png","media_type":"image/png"}`, `"media.caption":"See"`, map[string]string{"MediaUrl": "https://example.com/a.png", "Body": "See"}},
		{"text", "meta", text, "", map[string]string{"type": "text", "text.body": "Your code is 123456.", "text.preview_url": "false"}},
		{"template", "meta", `{"type":"template","content":"order"}`, `"template.1":"A1","template.language":"de"`, map[string]string{
			"type": "template", "template.name": "order", "template.language.policy": "deterministic", "template.language.code": "de",
			"template.components.type": "body", "template.components.parameters.type": "text", "template.components.parameters.text": "A1",
		}},
		{"named template", "meta", `{"type":"template","content":"order"}`, `"template.name":"Ada"`, map[string]string{
			"type": "template", "template.name": "order", "template.language.policy": "deterministic", "template.language.code": "en_US",
			"template.components.type": "body", "template.components.parameters.type": "text", "template.components.parameters.text": "Ada",
			"template.components.parameters.parameter_name": "name",
		}},
		{"one-time code", "twilio", `{"type":"template","content":"order"}`, `"template.1":"123456","template.button.0":"123456"`, map[string]string{"ContentSid": hx, "ContentVariables": `{"1":"123456","button.0":"123456"}`}},
		{"header", "twilio", `{"type":"template","content":"order"}`, `"template.header.image":"https://example.com/a.png","template.language":"de"`, map[string]string{"ContentSid": hx, "ContentVariables": `{"header.image":"https://example.com/a.png"}`}},
		{"document", "meta", `{"type":"media","content":"https://example.com/a","media_type":"application/pdf"}`, `"media.caption":"See"`, map[string]string{"type": "document", "document.link": "https://example.com/a", "document.caption": "See"}},
		{"audio", "meta", `{"type":"media","content":"https://example.com/a","media_type":"audio/ogg"}`, `"media.caption":"See"`, map[string]string{"type": "audio", "audio.link": "https://example.com/a"}},
		{"voice", "meta", `{"type":"media","content":"https://example.com/a","media_type":"audio/ogg; codecs=opus"}`, ``, map[string]string{"type": "audio", "audio.link": "https://example.com/a"}},
		{"sticker", "meta", `{"type":"media","content":"https://example.com/a","media_type":"image/webp ;x=1"}`, ``, map[string]string{"type": "sticker", "sticker.link": "https://example.com/a"}},
	}
	for _, tt := range tests {
		var f *fake.Server
		var c worker.Channel
		if tt.provider == "twilio" {
			f = fake.Twilio(account, account, secret)
			c = whatsappVia(twilioAt(t, serve(t, f), func(o *twilio.Options) {
				o.WhatsApp, o.ContentSIDs = true, map[string]string{"order": hx}
			}))
			tt.want["To"], tt.want["From"] = "whatsapp:+15550000000", "whatsapp:+15551234567"
		} else {
			f = fake.Meta("v23.0", secret, "100")
			c = whatsappVia(metaAt(t, serve(t, f), nil))
			tt.want["to"], tt.want["messaging_product"], tt.want["recipient_type"] = "+15550000000", "whatsapp", "individual"
		}
		resp, failure := once(t, c, newRequest("whatsapp", 1, tt.body, tt.meta))
		if failure != nil {
			t.Errorf("%s %s: %v %+v", tt.provider, tt.name, failure, resp)
			continue
		}
		if diff := cmp.Diff(tt.want, f.Ledger()[0].Sent); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.provider, tt.name, diff)
		}
	}
}

// The fake Meta takes nothing that lacks what its type requires, nor a list
// with an element that is wrong.
func TestFakeMetaMissesFields(t *testing.T) {
	t.Parallel()
	const parameters = `{"name":"order","language":{"policy":"deterministic","code":"en"},"components":[{"type":"body","parameters":[` +
		`{"type":"text","text":%q},{"type":"text","text":"two"},{"type":"text","text":%q}]}]}`
	components := func(list string) string {
		return `{"name":"order","language":{"policy":"deterministic","code":"en"},"components":[` + list + `]}`
	}
	url := serve(t, fake.Meta("v23.0", secret, "100")) + "/v23.0/100/messages"
	tests := []struct {
		kind, content string
		want          int
	}{
		{"text", `{}`, 400},
		{"template", `{"name":"order"}`, 400},
		{"image", `{"caption":"See"}`, 400},
		{"template", fmt.Sprintf(parameters, "one", "three"), 200},
		{"template", fmt.Sprintf(parameters, "", "three"), 400},
		{"template", fmt.Sprintf(parameters, "one", ""), 400},
		{"template", components(`{"type":"body","parameters":[{"type":"text","text":"123456"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"123456"}]}`), 200},
		{"template", components(`{"type":"body","parameters":[{"type":"text","text":"1234567890123456"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"1234567890123456"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":"9","parameters":[{"type":"text","text":"1234567890123456"}]}`), 200},
		{"template", components(`{"type":"button","index":"0","parameters":[{"type":"text","text":"1"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","parameters":[{"type":"text","text":"1"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":0,"parameters":[{"type":"text","text":"1"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":"10","parameters":[{"type":"text","text":"1"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"1"}]},{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":"2"}]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":"0","parameters":[]}`), 400},
		{"template", components(`{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"image","image":{"link":"https://example.com/a"}}]}`), 400},
		{"template", components(`{"type":"header","parameters":[{"type":"image","image":{"link":"https://example.com/a"}}]}`), 200},
		{"template", components(`{"type":"header","parameters":[{"type":"image","image":{"link":"a.png"}}]}`), 400},
		{"template", components(`{"type":"header","parameters":[{"type":"image","video":{"link":"https://example.com/a"}}]}`), 400},
		{"template", components(`{"type":"header","parameters":[{"type":"audio","audio":{"link":"https://example.com/a"}}]}`), 400},
		{"template", components(`{"type":"header","sub_type":"url","parameters":[{"type":"text","text":"1"}]}`), 400},
		{"template", components(`{"type":"header","parameters":[{"type":"text","text":"` + strings.Repeat("h", 61) + `"}]}`), 400},
		{"template", components(`{"type":"header","parameters":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`), 400},
		{"template", components(`{"type":"body","parameters":[{"type":"text"}]}`), 400},
		{"template", components(`{"type":"footer","parameters":[{"type":"text","text":"a"}]}`), 400},
	}
	for _, tt := range tests {
		body := fmt.Sprintf(`{"messaging_product":"whatsapp","recipient_type":"individual","to":"+15557654321","type":%q,%q:%s}`, tt.kind, tt.kind, tt.content)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: status %d, want %d", tt.kind, tt.content, resp.StatusCode, tt.want)
		}
	}
}

// Settings that change what is sent, or from where.
func TestSettings(t *testing.T) {
	t.Parallel()
	f := fake.Twilio(account, "SK1", secret)
	c := twilioAt(t, serve(t, f), func(o *twilio.Options) {
		o.Username, o.MessagingServiceSID = "SK1", "MG00000000000000000000000000000001"
		o.StatusCallbackURL = "https://example.com/status?a=b"
	})
	lasting := smsadapter.New(phone.Expiring(c, 24*time.Hour*365*50), limits(), timeout)
	if _, failure := once(t, lasting, newRequest("sms", 1, text, "")); failure != nil {
		t.Fatal(failure)
	}
	sent := f.Ledger()[0].Sent
	if sent["MessagingServiceSid"] == "" || sent["ValidityPeriod"] != "36000" ||
		sent["StatusCallback"] != "https://example.com/status?a=b&message_id=1e8f3b1b-4d0d-4bd3-9c86-2f72c7808c61&recipient=0" {
		t.Errorf("sent %v", sent)
	}
	g := fake.Meta("v23.0", secret, "100", "200")
	m := metaAt(t, serve(t, g), func(o *meta.Options) {
		o.CallbackData, o.PhoneNumberIDs = true, map[string]string{"+15551234567": "200"}
	})
	if _, failure := once(t, whatsappVia(m), newRequest("whatsapp", 1, text, "")); failure != nil {
		t.Fatal(failure)
	}
	if data := g.Ledger()[0].Sent["biz_opaque_callback_data"]; !strings.HasPrefix(data, "1e8f3b1b-") {
		t.Errorf("callback data %q", data)
	}
	// A template without a content SID is refused for good, and nobody is asked.
	h := fake.Twilio(account, account, secret)
	w := twilioAt(t, serve(t, h), func(o *twilio.Options) { o.WhatsApp = true })
	_, failure := once(t, whatsappVia(w), newRequest("whatsapp", 1, `{"type":"template","content":"order"}`, ""))
	if calls, _ := h.Calls(); failure == nil || failure.Class != models.FailurePermanent || calls != 0 {
		t.Errorf("%v after %d calls, want a refusal without any", failure, calls)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	good := serve(t, fake.Twilio(account, account, secret))
	bad := serve(t, fake.Twilio(account, account, "another"))
	if err := twilioAt(t, good, nil).Probe(t.Context()); err != nil {
		t.Errorf("Twilio: %v", err)
	}
	if err := twilioAt(t, bad, nil).Probe(t.Context()); err == nil {
		t.Error("Twilio lets a wrong token in")
	}
	if err := metaAt(t, serve(t, fake.Meta("v23.0", secret, "100")), nil).Probe(t.Context()); err != nil {
		t.Errorf("Meta: %v", err)
	}
	if err := metaAt(t, serve(t, fake.Meta("v23.0", "another", "100")), nil).Probe(t.Context()); err == nil {
		t.Error("Meta lets a wrong token in")
	}
}

// Connections are kept, and a server that floods, hangs or lies leaves no
// memory behind and the next call unharmed.
func TestBadServersLeaveNothingBehind(t *testing.T) { // alone: it measures the heap
	var mu sync.Mutex
	opened := 0
	const good, bad = 50, 200
	faults := []fake.Fault{fake.Flood, fake.Lie, fake.Cut, fake.Gateway}
	f := fake.Twilio(account, account, secret)
	f.Next = func(call int) fake.Fault {
		if call > good && call <= good+bad {
			return faults[call%len(faults)]
		}
		return ""
	}
	server := httptest.NewUnstartedServer(f)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			mu.Lock()
			opened++
			mu.Unlock()
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := smsVia(twilioAt(t, server.URL, nil))
	for range good {
		if _, failure := once(t, c, newRequest("sms", 1, text, "")); failure != nil {
			t.Fatal(failure)
		}
	}
	mu.Lock()
	// The transport drops one whose writer was not scheduled for 50 ms.
	if opened > good/5 {
		t.Errorf("%d connections for %d calls one after the other, want one, or a few on a busy machine", opened, good)
	}
	mu.Unlock()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range bad {
		if _, failure := once(t, c, newRequest("sms", 1, text, "")); failure == nil {
			t.Fatal("a fault went through")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the heap has grown by %d bytes over %d faults", grown, bad)
	}
	if _, failure := once(t, c, newRequest("sms", 1, text, "")); failure != nil {
		t.Errorf("afterwards: %v", failure)
	}
}

// Every code of the tables has its class in the outcome, whatever the status.
func TestCodes(t *testing.T) {
	t.Parallel()
	for name, codes := range map[string]api.Codes{"Twilio": twilio.Codes(), "Meta": meta.Codes()} {
		if !slices.IsSortedFunc(codes, func(a, b api.Code) int { return a.Code - b.Code }) {
			t.Errorf("%s: the codes are not in order, so that some are not found", name)
		}
		for _, line := range codes {
			answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprintf(w, `{"code":%d,"message":"m","error":{"code":%d,"message":"m"}}`, line.Code, line.Code)
			})
			url := serve(t, answer)
			c, kind := smsVia(twilioAt(t, url, nil)), "sms"
			if name == "Meta" {
				c, kind = whatsappVia(metaAt(t, url, nil)), "whatsapp"
			}
			resp, f := once(t, c, newRequest(kind, 1, text, ""))
			want := models.FailureTransient
			if line.Class == api.Permanent {
				want = models.FailurePermanent
			}
			if f == nil || f.Class != want || f.Unreachable != (line.Class == api.SetUp) || (resp.Status == models.StatusRateLimited) != (line.Class == api.Throttled) {
				t.Errorf("%s %d: %+v %q, want %s", name, line.Code, f, resp.Status, line.Class)
			}
			scopes := map[string]common.Failure{"account": {Throttle: true}, "provider": {Throttle: true}, "sender": {ThrottleScope: common.ScopeSender}, "recipient": {ThrottleScope: common.ScopePair}}
			held := common.Failure{}
			if line.Class == api.Throttled {
				held = scopes[line.Scope]
			}
			if f != nil && (f.Throttle != held.Throttle || f.ThrottleScope != held.ThrottleScope) {
				t.Errorf("%s %d: throttles all %v, scope %v, want it as its scope %q says", name, line.Code, f.Throttle, f.ThrottleScope, line.Scope)
			}
			if line.Note == "" || line.Scope == "" || line.Source == "" {
				t.Errorf("%s %d: a note, a scope or a source is missing", name, line.Code)
			}
		}
	}
}
