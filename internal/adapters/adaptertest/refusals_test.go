package adaptertest_test

import (
	"testing"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// Whose fault a refusal for good is: ours, which is transient and feeds the
// breaker; the message's own; or nobody can tell.
const (
	ours        = "ours"
	own         = "own"
	unexplained = "unexplained"
)

func faultOf(f *common.Failure) string {
	switch {
	case f.Class == models.FailureTransient && f.Unreachable && f.Unexplained == "":
		return ours
	case f.Class == models.FailurePermanent && !f.Unreachable && f.Unexplained == "":
		return own
	case f.Class == models.FailurePermanent && !f.Unreachable:
		return unexplained
	}
	return "neither: " + f.Error()
}

// refuseAt has a server refuse a mail to one recipient at a stage.
func refuseAt(t *testing.T, stage string, r email.Reply) *common.Failure {
	t.Helper()
	p := reply{err: &email.ReplyError{Stage: stage, Reply: r}}
	if stage == "RCPT" {
		p = reply{receipt: email.Receipt{Refusals: []email.Refusal{{Reply: r}}}}
	}
	req := emailRequest()
	req.To, req.CC = req.To[:1], nil
	_, f := sendMail(t, p, req, 0)
	return f
}

// The same codes mean different things at different stages (RFC 3463, 3; RFC
// 5321, 4.3.2), and words count only where they name our host or its name.
func TestWhomARefusalIsAbout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code             int
		enhanced         [3]int
		words            string
		mail, rcpt, last string
	}{
		{550, [3]int{5, 1, 1}, "no such user", unexplained, own, own},
		{550, [3]int{}, "no such user", unexplained, own, unexplained},
		{550, [3]int{5, 0, 0}, "no", unexplained, own, unexplained},
		{501, [3]int{5, 1, 3}, "bad address", unexplained, own, own},
		{553, [3]int{5, 1, 7}, "bad sender", unexplained, unexplained, unexplained},
		{550, [3]int{5, 2, 1}, "disabled", unexplained, own, own},
		{552, [3]int{5, 2, 2}, "full", unexplained, own, own},
		{552, [3]int{5, 2, 3}, "too long", own, own, own},
		{552, [3]int{5, 3, 4}, "too big", own, own, own},
		{552, [3]int{}, "too big", own, own, own},
		{550, [3]int{5, 3, 0}, "user unknown", ours, own, ours},
		{554, [3]int{5, 3, 2}, "system takes no messages", ours, ours, ours},
		{550, [3]int{5, 3, 5}, "wrongly configured", ours, ours, ours},
		{550, [3]int{5, 4, 1}, "Recipient address rejected: Access denied", ours, own, ours},
		{550, [3]int{5, 4, 4}, "unable to route", ours, own, ours},
		{550, [3]int{5, 4, 5}, "Daily user sending quota exceeded", ours, ours, ours},
		{554, [3]int{5, 6, 0}, "malformed", own, own, own},
		{550, [3]int{5, 6, 7}, "no such address", own, own, own},
		{550, [3]int{5, 7, 1}, "not from you", ours, unexplained, unexplained},
		{554, [3]int{5, 7, 1}, "relay access denied", ours, ours, unexplained},
		{550, [3]int{5, 7, 25}, "no reverse name", ours, ours, ours},
		{550, [3]int{5, 7, 606}, "Access denied, banned sending IP", ours, ours, ours},
		{550, [3]int{5, 7, 705}, "tenant has exceeded threshold", ours, ours, ours},
		{550, [3]int{5, 7, 513}, "Client host blocked by example.com", own, own, own},
		{504, [3]int{5, 5, 2}, "<x>: Helo command rejected: need fully-qualified hostname", ours, ours, ours},
		{504, [3]int{5, 5, 2}, "Recipient address rejected: need fully-qualified address", unexplained, unexplained, unexplained},
		{550, [3]int{}, "Bad HELO - host impersonates", ours, ours, ours},
		{550, [3]int{5, 1, 1}, "helo: no such user", ours, own, own},
		{554, [3]int{5, 7, 1}, "Client host blocked", ours, ours, ours},
		{503, [3]int{5, 5, 1}, "bad sequence of commands", ours, ours, unexplained},
		{521, [3]int{}, "no mail here", ours, ours, unexplained},
		{500, [3]int{}, "command failed", unexplained, unexplained, unexplained},
		{530, [3]int{5, 7, 0}, "authentication required", ours, ours, ours},
		{554, [3]int{}, "no", unexplained, unexplained, unexplained},
		{571, [3]int{}, "no", unexplained, unexplained, unexplained},
	}
	for _, tt := range tests {
		r := email.Reply{Code: tt.code, Enhanced: tt.enhanced, Message: tt.words}
		for stage, want := range map[string]string{"MAIL": tt.mail, "RCPT": tt.rcpt, ".": tt.last} {
			if got := faultOf(refuseAt(t, stage, r)); got != want {
				t.Errorf("%v %q at %s: %s, want %s", r, tt.words, stage, got, want)
			}
		}
	}
}

// Every code of the tables that is a recipient's or a message's own stays so,
// and is never taken for us; one that may be our account's is never own.
func TestOwnRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	for name, codes := range map[string]api.Codes{"Twilio": twilio.Codes(), "Meta": meta.Codes()} {
		for _, line := range codes {
			if line.Class != api.Permanent {
				continue
			}
			want := unexplained
			if line.Scope == "recipient" || line.Scope == "message" {
				want = own
			}
			for _, status := range []int{200, 201, 400, 403, 404, 500} {
				p := answer{err: &api.Error{Provider: name, Status: status, Code: line.Code, Class: line.Class, Scope: line.Scope}}
				_, f := sendText(t, p, "+15557654321")
				if got := faultOf(f); got != want {
					t.Errorf("%s %d with http %d: %s, want %s", name, line.Code, status, got, want)
				}
			}
		}
	}
	for subject := range 8 { // mailboxes, and routes to them, whatever the basic code
		for detail := range 20 {
			for _, code := range []int{501, 550, 551, 552, 553, 554, 556} {
				r := email.Reply{Code: code, Enhanced: [3]int{5, subject, detail}}
				got := faultOf(refuseAt(t, "RCPT", r))
				if ofRecipient := subject == 2 || subject == 1 && detail != 7 && detail != 8; ofRecipient && got != own {
					t.Errorf("%v to a recipient: %s", r, got)
				}
			}
		}
	}
}

// A mail to several is refused as it would be to each; one that somebody got,
// or that was refused to one for that one's own sake, tells nothing of us.
func TestRefusalsOfSeveral(t *testing.T) {
	t.Parallel()
	odd := smtpReply(554, 5, 5, 0)
	tests := []struct {
		name     string
		refusals []email.Refusal
		want     string // of Unexplained
	}{
		{"all", []email.Refusal{{Recipient: 0, Reply: odd}, {Recipient: 1, Reply: odd}, {Recipient: 2, Reply: odd}}, "smtp 554 5.5.0 words"},
		{"one was taken", []email.Refusal{{Recipient: 0, Reply: odd}, {Recipient: 1, Reply: odd}}, ""},
		{"one does not exist", []email.Refusal{{Recipient: 0, Reply: odd}, {Recipient: 1, Reply: smtpReply(550, 5, 1, 1)}, {Recipient: 2, Reply: odd}}, ""},
		{"one comes later", []email.Refusal{{Recipient: 0, Reply: odd}, {Recipient: 1, Reply: smtpReply(450, 4, 2, 1)}, {Recipient: 2, Reply: odd}}, "smtp 554 5.5.0 words"},
	}
	for _, tt := range tests {
		p := reply{receipt: email.Receipt{Reply: email.Reply{Code: 250}, Refusals: tt.refusals}}
		if _, f := sendMail(t, p, emailRequest(), 0, 1, 2); f.Unexplained != tt.want || f.Unreachable {
			t.Errorf("%s: %+v, want %q unexplained", tt.name, f, tt.want)
		}
	}
}
