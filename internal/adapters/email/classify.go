package email

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"messaging-worker/internal/adapters/answer"
	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
)

// classOf returns the class and the status word of a reply that is a refusal.
// The basic code decides, the enhanced code refines (RFC 5321, 4.2.1; RFC
// 3463): where they disagree the basic code wins.
func classOf(r email.Reply) (models.FailureType, string) {
	switch {
	case r.Code >= 400 && r.Code < 500:
		if r.Enhanced[1] == 7 && (r.Code == 450 || r.Code == 451 || r.Code == 421) || r.Code == 454 {
			return models.FailureTransient, models.StatusRateLimited
		}
		return models.FailureTransient, models.StatusUnavailable
	case r.Code >= 500 && r.Code < 600:
		return models.FailurePermanent, models.StatusRejected
	}
	return models.FailureUnknown, models.StatusUnknown
}

// shortText is a refusal as an error: its code and the beginning of its text.
func shortText(r email.Reply, own []string) error {
	text := models.CutRunes(clean(r.Message, own), 200)
	if text == "" {
		return fmt.Errorf("smtp %d", r.Code)
	}
	return fmt.Errorf("smtp %d %s", r.Code, text)
}

func response(r email.Reply, status string, own []string) models.ProviderResponse {
	resp := models.ProviderResponse{Status: status, Code: r.Code, Message: clean(r.Message, own)}
	if status != models.StatusOK {
		resp.Raw = clean(r.String()+" "+r.Message, own)
	}
	return resp
}

// namesUs matches the texts by which servers refuse the connecting host, or its
// name in HELO, with whatever code: Postfix "Helo command rejected", "Client host
// rejected", Exchange Online "Client host blocked".
var namesUs = regexp.MustCompile(`(?i)\b(?:helo|ehlo)\b|\bclient (?:host|address|ip)\b`)

// refusalScope returns whom a permanent refusal is about, or "". If its codes say
// that it is the recipient or the message, that holds; else its text may name us.
func refusalScope(stage string, r email.Reply, own []string) string {
	if r.Code < 500 || r.Code > 599 {
		return ""
	}
	found := email.About(stage, r)
	coded := r.Enhanced[0] == 5 && r.Enhanced[1] != 0
	if coded && (found == email.AboutRecipient || found == email.AboutMessage) {
		return found
	}
	if namesUs.MatchString(clean(r.Message, own)) {
		return email.AboutAccount
	}
	return found
}

// refusesMessage reports a permanent refusal of the recipient or the message.
func refusesMessage(stage string, r email.Reply, own []string) bool {
	whom := refusalScope(stage, r, own)
	return whom == email.AboutRecipient || whom == email.AboutMessage
}

// refusesUs reports a permanent refusal of our host, credentials or quota, or
// one for the server's own state.
func refusesUs(stage string, r email.Reply, own []string) bool {
	whom := refusalScope(stage, r, own)
	return whom == email.AboutAccount || whom == email.AboutProvider
}

// deniesRelaying reports a refusal of a recipient by which the server may refuse
// us as a whole. 5.7.x is how a server says that it does not relay for us (RFC
// 3463, 3.8), and if it refuses all recipients of a message so, it means that.
// A single recipient may be refused with 550 by a policy of its own; 554 is for
// when there is no service at all (RFC 5321, 4.2.3). Recipients that an earlier
// attempt left open prove nothing: the server has accepted or refused the others.
func deniesRelaying(r email.Reply, c *Conversation) bool {
	policy := r.Enhanced[0] == 5 && r.Enhanced[1] == 7
	return refusesUs(email.StageRCPT, r, c.Own) || policy && c.Whole && (r.Code == 554 || r.Code == 550 && len(c.Recipients) > 1)
}

// throttles reports a reply that throttles all our calls: 421 for a policy and
// 454, not the 45y of a grey list, which is about one message.
func throttles(r email.Reply) bool { return r.Code == 421 && r.Enhanced[1] == 7 || r.Code == 454 }

// setupFailure is a failure of our set-up at the server. Somebody has to fix it,
// and it says nothing about the message.
func setupFailure(err error) *common.Failure {
	f := common.Transient(err)
	f.Unreachable, f.AboutUs = true, true
	return f
}

// ProbeError classifies the error of a probe. It returns nil or a
// *common.Failure.
func ProbeError(err error, limit time.Duration) error {
	if err == nil {
		return nil
	}
	_, failure := failed(err, limit, nil)
	return failure
}

// failed classifies an error of the provider, which is the same for every
// recipient that it is about.
func failed(err error, limit time.Duration, own []string) (models.ProviderResponse, *common.Failure) {
	if reply, ok := errors.AsType[*email.ReplyError](err); ok {
		status, f := Classify(reply.Stage, reply.Reply, own)
		return response(reply.Reply, status, own), f
	}
	if broken, ok := errors.AsType[*email.SetupError](err); ok {
		if broken.Err != nil {
			text := models.CutRunes("smtp "+broken.Stage+": "+mask(broken.Err.Error()), 200)
			return models.ProviderResponse{Status: models.StatusUnavailable, Message: text}, setupFailure(errors.New(text))
		}
		f := setupFailure(shortText(broken.Reply, own))
		f.Throttle = throttles(broken.Reply)
		f.Credentials = broken.Stage == email.StageAUTH
		return response(broken.Reply, models.StatusUnavailable, own), f
	}
	if busy, ok := errors.AsType[*email.BusyError](err); ok {
		f := common.Transient(busy)
		f.NotCalled = true
		return models.ProviderResponse{Status: models.StatusUnavailable}, f
	}
	if unsendable, ok := errors.AsType[*email.UnsendableError](err); ok {
		return models.ProviderResponse{Status: models.StatusRejected, Message: unsendable.Reason}, common.Permanent(unsendable)
	}
	if odd, ok := errors.AsType[*email.ProtocolError](err); ok {
		return unreadable(odd, own)
	}
	if up, ok := errors.AsType[*email.TimeUpError](err); ok {
		return models.ProviderResponse{Status: models.StatusTimeout}, common.Transient(up)
	}
	line, isLine := errors.AsType[*email.ConnectionError](err)
	if isLine && line.Limit > 0 {
		limit = line.Limit
	}
	resp, f := answer.Network(err, limit)
	switch {
	case f != nil:
	case isLine:
		resp, f = answer.Unreachable("network error")
	default:
		f = common.Unknown(errors.New("provider failed without a reply"))
	}
	if isLine && line.Ambiguous {
		f = answer.MayHaveBeenAccepted(f)
	}
	return resp, f
}

// unreadable classifies an answer that is no SMTP reply. In answer to the last
// line it counts as an acceptance, as a 2xx of HTTP with an unreadable body does.
func unreadable(odd *email.ProtocolError, own []string) (models.ProviderResponse, *common.Failure) {
	f := common.Unknown(errors.New("a reply outside the protocol"))
	if odd.Accepted {
		f.Accepted, f.Err = true, errors.New("an unreadable reply to the message")
	}
	return models.ProviderResponse{Status: models.StatusUnknown, Raw: clean(odd.Text, own)}, f
}

// Classify returns the status word and the failure of a reply that refuses at
// a stage, which is as in email.ReplyError, or "RCPT". Own are the texts of the
// request that it may repeat.
func Classify(stage string, r email.Reply, own []string) (string, *common.Failure) {
	if refusesUs(stage, r, own) {
		return models.StatusUnavailable, setupFailure(shortText(r, own))
	}
	class, status := classOf(r)
	f := &common.Failure{Class: class, Unreachable: r.Code == 421, Throttle: throttles(r), Err: shortText(r, own)}
	if class == models.FailurePermanent && !refusesMessage(stage, r, own) {
		f.Unexplained = models.CutRunes(r.String()+" "+clean(r.Message, own), 200)
	}
	return status, f
}
