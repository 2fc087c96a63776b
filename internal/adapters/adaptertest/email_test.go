package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
)

func smtpReply(code, class, subject, detail int) email.Reply {
	return email.Reply{Code: code, Enhanced: [3]int{class, subject, detail}, Message: "words"}
}

// TestEmailFailuresAreClassed goes through the stages of a conversation: RFC
// 5321, 4.2 and 4.3.2; RFC 3463; RFC 4954, 6.
func TestEmailFailuresAreClassed(t *testing.T) {
	t.Parallel()
	const (
		transient, permanent, unknown = models.FailureTransient, models.FailurePermanent, models.FailureUnknown
		cut                           = " (may have been accepted)"
	)
	setup := func(stage string, r email.Reply) error { return &email.SetupError{Stage: stage, Reply: r} }
	whole := func(stage string, r email.Reply) error { return &email.ReplyError{Stage: stage, Reply: r} }
	line := func(stage string, ambiguous bool, err error) error {
		return fmt.Errorf("wrapped: %w", &email.ConnectionError{Stage: stage, Limit: 5 * time.Second, Ambiguous: ambiguous, Err: err})
	}
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	unreachableHost := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	tests := []struct {
		name        string
		err         error
		class       models.FailureType
		unreachable bool
		ambiguous   bool
		text        string // behind the class
		status      string
	}{
		{"no such host", line("connect", false, &net.DNSError{Err: "no such host"}), transient, true, false, "host not found", models.StatusUnavailable},
		{"refused", line("connect", false, refused), transient, true, false, "connection refused", models.StatusUnavailable},
		{"no route", line("connect", false, unreachableHost), transient, true, false, "network error", models.StatusUnavailable},
		{"connect times out", line("connect", false, context.DeadlineExceeded), transient, true, false, "timeout after 5s", models.StatusTimeout},
		{"certificate", &email.SetupError{Stage: "TLS", Err: errors.New("x509: unknown authority")}, transient, true, false, "smtp TLS: x509: unknown authority", models.StatusUnavailable},
		{"greeting 421", setup("greeting", smtpReply(421, 4, 3, 2)), transient, true, false, "smtp 421 words", models.StatusUnavailable},
		{"greeting 554", setup("greeting", smtpReply(554, 5, 7, 1)), transient, true, false, "smtp 554 words", models.StatusUnavailable},
		{"greeting 521", setup("greeting", smtpReply(521, 5, 3, 2)), transient, true, false, "smtp 521 words", models.StatusUnavailable},
		{"EHLO 550", setup("EHLO", smtpReply(550, 5, 7, 1)), transient, true, false, "smtp 550 words", models.StatusUnavailable},
		{"AUTH 535", setup("AUTH", smtpReply(535, 5, 7, 8)), transient, true, false, "smtp 535 words", models.StatusUnavailable},
		{"AUTH 454", setup("AUTH", smtpReply(454, 4, 7, 0)), transient, true, false, "smtp 454 words", models.StatusUnavailable},

		{"MAIL 421", whole("MAIL", smtpReply(421, 4, 3, 2)), transient, true, false, "smtp 421 words", models.StatusUnavailable},
		{"MAIL 450", whole("MAIL", smtpReply(450, 4, 1, 8)), transient, false, false, "smtp 450 words", models.StatusUnavailable},
		{"MAIL 451", whole("MAIL", smtpReply(451, 4, 7, 1)), transient, false, false, "smtp 451 words", models.StatusRateLimited},
		{"MAIL 452", whole("MAIL", smtpReply(452, 4, 3, 1)), transient, false, false, "smtp 452 words", models.StatusUnavailable},
		{"MAIL 530", whole("MAIL", smtpReply(530, 5, 7, 0)), transient, true, false, "smtp 530 words", models.StatusUnavailable},
		{"MAIL 550", whole("MAIL", smtpReply(550, 5, 7, 1)), transient, true, false, "smtp 550 words", models.StatusUnavailable},
		{"MAIL 552", whole("MAIL", smtpReply(552, 5, 3, 4)), permanent, false, false, "smtp 552 words", models.StatusRejected},
		{"MAIL 553", whole("MAIL", smtpReply(553, 5, 1, 7)), permanent, false, false, "smtp 553 words", models.StatusRejected},
		{"MAIL 501", whole("MAIL", smtpReply(501, 5, 1, 7)), permanent, false, false, "smtp 501 words", models.StatusRejected},
		{"MAIL 555", whole("MAIL", smtpReply(555, 5, 5, 4)), permanent, false, false, "smtp 555 words", models.StatusRejected},
		{"DATA 451", whole("DATA", smtpReply(451, 4, 3, 0)), transient, false, false, "smtp 451 words", models.StatusUnavailable},
		{"DATA 554", whole("DATA", smtpReply(554, 5, 6, 0)), permanent, false, false, "smtp 554 words", models.StatusRejected},
		{"message 452", whole(".", smtpReply(452, 4, 3, 1)), transient, false, false, "smtp 452 words", models.StatusUnavailable},
		{"message 421", whole(".", smtpReply(421, 4, 3, 2)), transient, true, false, "smtp 421 words", models.StatusUnavailable},
		{"message 552", whole(".", smtpReply(552, 5, 3, 4)), permanent, false, false, "smtp 552 words", models.StatusRejected},
		{"message 550", whole(".", smtpReply(550, 5, 7, 1)), permanent, false, false, "smtp 550 words", models.StatusRejected},
		{"the codes disagree", whole(".", smtpReply(450, 5, 1, 1)), transient, false, false, "smtp 450 words", models.StatusUnavailable},

		{"cut before the message", line("RCPT", false, io.EOF), transient, true, false, "connection lost", models.StatusUnavailable},
		{"cut in the message", line("body", false, reset), transient, true, false, "connection reset", models.StatusUnavailable},
		{"cut behind the message", line(".", true, io.EOF), transient, true, true, "connection lost" + cut, models.StatusUnavailable},
		{"time-out behind the message", line(".", true, os.ErrDeadlineExceeded), transient, true, true, "timeout after 5s" + cut, models.StatusTimeout},
		{"no SMTP", &email.ProtocolError{Stage: "RCPT"}, unknown, false, false, "a reply outside the protocol", models.StatusUnknown},
		{"no SMTP behind the message", &email.ProtocolError{Stage: ".", Accepted: true}, unknown, false, false, "an unreadable reply to the message", models.StatusUnknown},
		{"3yz to MAIL", whole("MAIL", email.Reply{Code: 354}), unknown, false, false, "smtp 354", models.StatusUnknown},
		{"unsendable", &email.UnsendableError{Reason: "it needs what is not there"}, permanent, false, false, "it needs what is not there", models.StatusRejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, f := sendMail(t, reply{err: tt.err}, emailRequest(), 0, 1, 2)
			if f.Class != tt.class || f.Unreachable != tt.unreachable || f.Ambiguous != tt.ambiguous || f.Err.Error() != tt.text || resp.Status != tt.status {
				t.Errorf("%+v, %+v, want %+v", resp, f, tt)
			}
		})
	}
}

func TestEmailRecipientsRefusedForUsAll(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply email.Reply
		setup bool
	}{
		{"authentication required", smtpReply(530, 5, 7, 0), true},
		{"relaying denied", smtpReply(550, 5, 7, 1), true},
		{"relay access denied", smtpReply(554, 5, 7, 1), true},
		{"unknown user", smtpReply(550, 5, 1, 1), false},
		{"no enhanced code", email.Reply{Code: 550}, false},
		{"mailbox full", smtpReply(552, 5, 2, 2), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := []email.Refusal{{Recipient: 0, Reply: tt.reply}, {Recipient: 1, Reply: tt.reply}, {Recipient: 2, Reply: tt.reply}}
			send := func(refusals []email.Refusal) *common.Failure {
				_, f := sendMail(t, reply{receipt: email.Receipt{Reply: email.Reply{Code: 250}, Refusals: refusals}}, emailRequest(), 0, 1, 2)
				return f
			}
			if f := send(all); (f.Class == models.FailureTransient && f.Unreachable && f.Refused == nil) != tt.setup {
				t.Errorf("all refused: %+v, want set-up %v", f, tt.setup)
			}
			if f := send(all[:2]); f.Class != models.FailurePermanent || f.Unreachable || !slices.Equal(f.Refused, []int{0, 1}) {
				t.Errorf("two of three refused: %+v, want permanent for these", f)
			}
		})
	}
}

func TestEmailConversationThatFailsHalfWay(t *testing.T) {
	t.Parallel()
	gone, later := smtpReply(550, 5, 1, 1), smtpReply(450, 4, 2, 1)
	tests := []struct {
		name              string
		refusals          []email.Refusal
		failed            []int
		err               error
		class             models.FailureType
		wantRefused, open []int
	}{
		{"cut", []email.Refusal{{Recipient: 1, Reply: gone}}, []int{0, 2}, &email.ConnectionError{Stage: ".", Ambiguous: true, Err: io.EOF}, models.FailureTransient, []int{1}, []int{0, 2}},
		{"refused", []email.Refusal{{Recipient: 1, Reply: gone}}, []int{0, 2}, &email.ReplyError{Reply: smtpReply(554, 5, 6, 0)}, models.FailurePermanent, []int{0, 1, 2}, nil},
		{"refused, one deferred", []email.Refusal{{Recipient: 1, Reply: later}}, []int{0, 2}, &email.ReplyError{Reply: smtpReply(554, 5, 6, 0)}, models.FailureTransient, []int{0, 2}, []int{1}},
		{"one delivered", nil, []int{2}, &email.ReplyError{Reply: smtpReply(451, 4, 3, 0)}, models.FailureTransient, nil, []int{2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := reply{receipt: email.Receipt{Refusals: tt.refusals, Failed: tt.failed, Err: tt.err}}
			_, f := sendMail(t, p, emailRequest(), 0, 1, 2)
			if f == nil || f.Class != tt.class || !slices.Equal(f.Refused, tt.wantRefused) || !slices.Equal(f.Open, tt.open) {
				t.Errorf("%+v, want %s refused %v open %v", f, tt.class, tt.wantRefused, tt.open)
			}
		})
	}
}

// Each recipient keeps what it was told, whatever others of the call were.
func TestEmailAnswersAreTheRecipientsOwn(t *testing.T) {
	t.Parallel()
	gone, later, broken := smtpReply(550, 5, 1, 1), smtpReply(451, 4, 7, 1), &email.ReplyError{Reply: smtpReply(554, 5, 6, 0)}
	tests := []struct {
		name    string
		receipt email.Receipt
		err     string // of the failure
		want    map[int]string
	}{
		{
			"one refused, one later",
			email.Receipt{Reply: smtpReply(250, 2, 0, 0), Refusals: []email.Refusal{{Recipient: 0, Reply: gone}, {Recipient: 2, Reply: later}}},
			"transient error: smtp 451 words",
			map[int]string{0: "permanent smtp 550 words 550", 2: "transient smtp 451 words 451"},
		},
		{
			"one refused, the mail of the others too",
			email.Receipt{Refusals: []email.Refusal{{Recipient: 1, Reply: gone}}, Failed: []int{0, 2}, Err: broken},
			"permanent error: smtp 554 words",
			map[int]string{0: "permanent smtp 554 words 554", 1: "permanent smtp 550 words 550", 2: "permanent smtp 554 words 554"},
		},
		{
			"one later, the mail of the others refused",
			email.Receipt{Refusals: []email.Refusal{{Recipient: 1, Reply: later}}, Failed: []int{0, 2}, Err: broken},
			"transient error: smtp 451 words",
			map[int]string{0: "permanent smtp 554 words 554", 1: "transient smtp 451 words 451", 2: "permanent smtp 554 words 554"},
		},
	}
	for _, tt := range tests {
		_, f := sendMail(t, reply{receipt: tt.receipt}, emailRequest(), 0, 1, 2)
		got := map[int]string{}
		for i, a := range f.Answers {
			got[i] = fmt.Sprint(a.Class, " ", a.Err, " ", a.Response.Code)
		}
		if !maps.Equal(got, tt.want) || f.Error() != tt.err {
			t.Errorf("%s: %q %v, want %q %v", tt.name, f, got, tt.err, tt.want)
		}
	}
}

// A line that breaks behind the last dot leaves those in doubt who had no
// answer of their own, and nobody else.
func TestEmailDoubtIsOfThoseWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	p := reply{receipt: email.Receipt{
		Refusals: []email.Refusal{{Recipient: 1, Reply: smtpReply(451, 4, 7, 1)}}, Failed: []int{0, 2},
		Err: &email.ConnectionError{Stage: ".", Ambiguous: true, Err: io.EOF},
	}}
	if _, f := sendMail(t, p, emailRequest(), 0, 1, 2); f == nil || !slices.Equal(f.Open, []int{0, 1, 2}) || !slices.Equal(f.Doubtful, []int{0, 2}) {
		t.Errorf("%+v, want 0 and 2 in doubt", f)
	}
}

func TestEmailMetaBecomesHeaders(t *testing.T) {
	t.Parallel()
	var m email.Message
	req := emailRequest()
	req.Meta = map[string]string{"email.reply_to": "help@example.com", "email.list_unsubscribe": "https://example.com/u"}
	_, f := sendMail(t, reply{receipt: email.Receipt{Reply: email.Reply{Code: 250}}, got: &m}, req, 0)
	if f != nil || m.ReplyTo != "help@example.com" || m.ListUnsubscribe != "https://example.com/u" {
		t.Errorf("%+v, %v", m, f)
	}
}

// TestEmailRecipientsLeftOver are refused by a server that took the others in
// an earlier attempt: it does relay. A message to one alone tells nothing of
// that.
func TestEmailRecipientsLeftOver(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		reply email.Reply
		left  []int
		setup bool
	}{
		{"550 for two", smtpReply(550, 5, 7, 1), []int{1, 2}, false},
		{"554 for two", smtpReply(554, 5, 7, 1), []int{1, 2}, false},
		{"554 for one", smtpReply(554, 5, 7, 1), []int{2}, false},
		{"authentication required", smtpReply(530, 5, 7, 0), []int{1, 2}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var refusals []email.Refusal
			for i := range tt.left {
				refusals = append(refusals, email.Refusal{Recipient: i, Reply: tt.reply})
			}
			_, f := sendMail(t, reply{receipt: email.Receipt{Refusals: refusals}}, emailRequest(), tt.left...)
			if f.Unreachable != tt.setup || !tt.setup && (f.Class != models.FailurePermanent || !slices.Equal(f.Refused, tt.left)) {
				t.Errorf("%+v, want set-up %v", f, tt.setup)
			}
		})
	}
	alone := emailRequest()
	alone.To, alone.CC = alone.To[:1], nil
	for code, setup := range map[int]bool{550: false, 554: true} {
		p := reply{receipt: email.Receipt{Refusals: []email.Refusal{{Reply: smtpReply(code, 5, 7, 1)}}}}
		if _, f := sendMail(t, p, alone, 0); f.Unreachable != setup {
			t.Errorf("%d for one alone: %+v, want set-up %v", code, f, setup)
		}
	}
}
