package adaptertest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	emailadapter "messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	smsadapter "messaging-worker/internal/adapters/sms"
	whatsappadapter "messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// answer is a provider that gives one answer.
type answer struct {
	receipt api.Receipt
	err     error
}

func (a answer) Send(context.Context, api.Message) (api.Receipt, error) { return a.receipt, a.err }

// reply is a mail server that gives one reply, and remembers the message.
type reply struct {
	receipt email.Receipt
	err     error
	got     *email.Message
}

func (r reply) Send(_ context.Context, m email.Message) (email.Receipt, error) {
	if r.got != nil {
		*r.got = m
	}
	return r.receipt, r.err
}

func httpAnswers() []Answer {
	var list []Answer
	for status := 100; status < 600; status++ {
		class := models.FailureUnknown
		switch {
		case status >= 500, status == 401, status == 403, status == 407, status == 408, status == 429:
			class = models.FailureTransient
		case status >= 400:
			class = models.FailurePermanent
		}
		text := "no way to +15557654321 saying your code is 123456 " + strings.Repeat("x", 3000)
		list = append(list, Answer{
			Name: fmt.Sprint("http ", status), Class: class, Text: fmt.Sprint("http ", status),
			Err: &api.Error{Provider: "Twilio", Status: status, Code: 21211, Message: text, Raw: text},
		})
	}
	for name, codes := range map[string]api.Codes{"Twilio": twilio.Codes(), "Meta": meta.Codes()} {
		for _, line := range codes {
			class := models.FailureTransient
			if line.Class == api.Permanent {
				class = models.FailurePermanent
			}
			list = append(list, Answer{
				Name: fmt.Sprint(name, " ", line.Code), Class: class, Text: "http 400",
				Err: &api.Error{Provider: name, Status: 400, Code: line.Code, Class: line.Class, Scope: line.Scope, Message: "your code is 123456"},
			})
		}
	}
	return append(list, Answer{
		Name: "outside the protocol", Class: models.FailureUnknown, Err: &api.Error{Provider: "Twilio"},
		Status: models.StatusUnknown, Text: "outside the protocol",
	})
}

func TestSMS(t *testing.T) {
	t.Parallel()
	req := &models.PhoneRequest{From: "+15551234567", To: []string{"+15557654321"}, Body: models.Body{Content: "your code is 123456"}}
	Run(t, func(ctx context.Context, err error) (models.ProviderResponse, error) {
		p := answer{api.Receipt{Status: 201, Kind: "sid", ID: "SM1", Message: "queued"}, err}
		return smsadapter.New(p, request.Limits{}, Limit).Delivery(req).Send(ctx, common.Call{Attempt: 1, Recipients: []int{0}})
	}, httpAnswers())
}

func TestWhatsApp(t *testing.T) {
	t.Parallel()
	req := &models.PhoneRequest{From: "+15551234567", To: []string{"+15557654321"}, Body: models.Body{Content: "your code is 123456"}}
	Run(t, func(ctx context.Context, err error) (models.ProviderResponse, error) {
		p := answer{api.Receipt{Status: 200, Kind: "wamid", ID: "wamid.1"}, err}
		return whatsappadapter.New(p, request.Limits{}, Limit).Delivery(req).Send(ctx, common.Call{Attempt: 1, Recipients: []int{0}})
	}, httpAnswers())
}

// sendMail makes one call to a mail server that answers as p does.
func sendMail(t *testing.T, p reply, req *models.EmailRequest, recipients ...int) (models.ProviderResponse, *common.Failure) {
	t.Helper()
	resp, err := emailadapter.New(p, request.Limits{}, Limit).Delivery(req).Send(t.Context(), common.Call{Attempt: 1, Recipients: recipients})
	return resp, common.Classify(err)
}

// sendText makes one call for a number to a provider that answers as p does.
func sendText(t *testing.T, p answer, to string) (models.ProviderResponse, *common.Failure) {
	t.Helper()
	d := smsadapter.New(p, request.Limits{}, Limit).Delivery(&models.PhoneRequest{To: []string{"+15550001", to}})
	resp, err := d.Send(t.Context(), common.Call{Attempt: 1, Recipients: []int{1}})
	return resp, common.Classify(err)
}

func emailRequest() *models.EmailRequest {
	return &models.EmailRequest{
		From: "noreply@example.com", To: []string{"user@example.com", "b@example.com"}, CC: []string{"c@example.com"},
		Subject: "private subject", Body: models.Body{Type: models.BodyHTML, Content: "your code is 123456"},
	}
}

func TestEmail(t *testing.T) {
	t.Parallel()
	var list []Answer
	for code := 400; code < 600; code++ {
		class, status := models.FailureTransient, ""
		if code >= 500 {
			class, status = models.FailurePermanent, models.StatusRejected
		}
		if code == 530 || code == 534 || code == 535 || code == 538 { // our credentials
			class, status = models.FailureTransient, models.StatusUnavailable
		}
		list = append(list, Answer{
			Name: fmt.Sprint("smtp ", code), Class: class, Status: status, Text: fmt.Sprintf("smtp %d", code),
			Err: &email.ReplyError{Reply: email.Reply{Code: code, Message: "user@example.com said your code is 123456 in private subject"}},
		})
	}
	list = append(
		list,
		Answer{
			Name: "throttled", Class: models.FailureTransient, Status: models.StatusRateLimited, Text: "smtp 421 slow down",
			Err: &email.ReplyError{Reply: email.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}, Message: "slow down"}},
		},
		Answer{
			Name: "outside the protocol", Class: models.FailureUnknown, Status: models.StatusUnknown,
			Err: &email.ReplyError{Reply: email.Reply{Code: 299}},
		},
	)
	Run(t, func(ctx context.Context, err error) (models.ProviderResponse, error) {
		a := emailadapter.New(reply{receipt: email.Receipt{Reply: email.Reply{Code: 250}}, err: err}, request.Limits{}, Limit)
		return a.Delivery(emailRequest()).Send(ctx, common.Call{Attempt: 1, Recipients: []int{0, 1, 2}})
	}, list)
}

func TestEmailRecipientsEachHaveTheirOutcome(t *testing.T) {
	t.Parallel()
	refused := email.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "user unknown"}
	later := email.Reply{Code: 451, Enhanced: [3]int{4, 2, 1}, Message: "mailbox busy"}
	tests := []struct {
		name              string
		refusals          []email.Refusal
		wantClass         models.FailureType
		wantRefused, open []int
		wantStatus        string
	}{
		{"one refused", []email.Refusal{{Recipient: 1, Reply: refused}}, models.FailurePermanent, []int{2}, nil, models.StatusPartial},
		{"one later", []email.Refusal{{Recipient: 0, Reply: later}}, models.FailureTransient, nil, []int{0}, models.StatusPartial},
		{"one each", []email.Refusal{{Recipient: 0, Reply: later}, {Recipient: 1, Reply: refused}}, models.FailureTransient, []int{2}, []int{0}, models.StatusUnavailable},
		{"both refused", []email.Refusal{{Recipient: 0, Reply: refused}, {Recipient: 1, Reply: refused}}, models.FailurePermanent, []int{0, 2}, nil, models.StatusRejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m email.Message
			p := reply{receipt: email.Receipt{Reply: email.Reply{Code: 250}, Refusals: tt.refusals}, got: &m}
			resp, f := sendMail(t, p, emailRequest(), 0, 2)
			if f == nil || f.Class != tt.wantClass || !slices.Equal(f.Refused, tt.wantRefused) || !slices.Equal(f.Open, tt.open) || resp.Status != tt.wantStatus {
				t.Errorf("response %+v, failure %+v, want %s refused %v open %v status %s", resp, f, tt.wantClass, tt.wantRefused, tt.open, tt.wantStatus)
			}
			if !slices.Equal(m.Recipients, []string{"user@example.com", "c@example.com"}) || !m.HTML || len(m.To) != 2 {
				t.Errorf("provider got %+v", m)
			}
		})
	}
}

// A call for which no connection was free was not made, unless somebody has the
// mail or was refused before.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	accepted := email.Receipt{Reply: smtpReply(250, 2, 0, 0), Failed: []int{1}, Err: &email.BusyError{}}
	tests := []struct {
		name      string
		provider  reply
		notCalled bool
	}{
		{"nobody was spoken of", reply{err: &email.BusyError{}}, true},
		{"one has the mail", reply{receipt: accepted}, false},
	}
	for _, tt := range tests {
		_, f := sendMail(t, tt.provider, emailRequest(), 0, 1)
		if f == nil || f.Class != models.FailureTransient || f.Unreachable || f.NotCalled != tt.notCalled {
			t.Errorf("%s: %+v, want a transient failure, not called %v", tt.name, f, tt.notCalled)
		}
	}
}

func TestRetryAfterReachesTheEngine(t *testing.T) {
	t.Parallel()
	p := answer{err: &api.Error{Provider: "Twilio", Status: 429, Code: 20429, Message: "Rate limit exceeded", RetryAfter: 2 * time.Second}}
	resp, f := sendText(t, p, "+15557654321")
	if f.RetryAfter != 2*time.Second || resp.Status != models.StatusRateLimited || resp.Code != 429 || resp.Message != "Twilio 20429: Rate limit exceeded" {
		t.Errorf("response %+v, failure %+v", resp, f)
	}
}

func TestMessageWithoutACode(t *testing.T) {
	t.Parallel()
	p := answer{err: &api.Error{Provider: "Twilio", Status: 502, Message: "Bad gateway"}}
	if resp, _ := sendText(t, p, "+15557654321"); resp.Message != "Twilio: Bad gateway" {
		t.Errorf("message %q", resp.Message)
	}
}

func TestIDsAreNamedByNumber(t *testing.T) {
	t.Parallel()
	p := answer{receipt: api.Receipt{Status: 201, Kind: "sid", ID: "SM1"}}
	if resp, f := sendText(t, p, "+15550002"); f != nil || resp.Meta["sid.+15550002"] != "SM1" {
		t.Errorf("meta = %v, %v, want sid.+15550002=SM1", resp.Meta, f)
	}
}
