package email

import (
	"errors"
	"fmt"
	"regexp"
	"time"

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

// shortText is a refusal in an error text: its code, and the server's words
// where they are a plain few.
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

// namesUs are the words by which a server refuses the host that speaks to it,
// or its name, whatever code it gives for that: Postfix "Helo command
// rejected", "Client host rejected", Exchange Online "Client host blocked".
var namesUs = regexp.MustCompile(`(?i)\b(?:helo|ehlo)\b|\bclient (?:host|address|ip)\b`)

// about says whom a refusal for good is about: what its codes say of the
// recipient or the message stands, and else its words may say that it is us.
func about(stage string, r email.Reply, own []string) string {
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

// itsOwn reports a refusal for good for the recipient's or the message's own
// sake.
func itsOwn(stage string, r email.Reply, own []string) bool {
	if r.Code < 500 || r.Code > 599 {
		return false
	}
	whom := about(stage, r, own)
	return whom == email.AboutRecipient || whom == email.AboutMessage
}

// refusesUs reports a refusal for good that is neither the recipient's nor the
// message's: of our host, credentials or quota, or for the server's own state.
func refusesUs(stage string, r email.Reply, own []string) bool {
	if r.Code < 500 || r.Code > 599 {
		return false
	}
	whom := about(stage, r, own)
	return whom == email.AboutAccount || whom == email.AboutProvider
}

// noRelay reports that a server which refuses a recipient so may refuse
// everybody's: 5.7.x is how a relay says that it does not relay for us
// (RFC 3463, 3.8). When all recipients of a message are refused so, it does.
// One recipient alone may be refused with 550 by a policy of its own; 554 is
// for when there is no service at all (RFC 5321, 4.2.3). Those that an earlier
// attempt left over are no such proof: the server has dealt with the others.
func noRelay(r email.Reply, t *talk) bool {
	policy := r.Enhanced[0] == 5 && r.Enhanced[1] == 7
	return refusesUs(rcpt, r, t.own) || policy && t.whole && (r.Code == 554 || r.Code == 550 && len(t.recipients) > 1)
}

// throttles reports a reply that finds all of us too fast: 421 for a policy
// and 454, not the 45y of a grey list, which is about one message.
func throttles(r email.Reply) bool { return r.Code == 421 && r.Enhanced[1] == 7 || r.Code == 454 }

// setUp is a failure of our way to the server: it waits for a mend, and says
// nothing about the message.
func setUp(err error) *common.Failure {
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

// failed reads an error of the provider. It is the same for every recipient
// that it is about.
func failed(err error, limit time.Duration, own []string) (models.ProviderResponse, *common.Failure) {
	if reply, ok := errors.AsType[*email.ReplyError](err); ok {
		return refused(reply, own)
	}
	if broken, ok := errors.AsType[*email.SetupError](err); ok {
		if broken.Err != nil {
			text := models.CutRunes("smtp "+broken.Stage+": "+mask(broken.Err.Error()), 200)
			return models.ProviderResponse{Status: models.StatusUnavailable, Message: text}, setUp(errors.New(text))
		}
		f := setUp(shortText(broken.Reply, own))
		f.Throttle = throttles(broken.Reply)
		f.Credentials = broken.Stage == "AUTH"
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
	resp, f, ok := common.ClassifyNetwork(err, limit)
	switch {
	case !ok && !isLine:
		return models.ProviderResponse{Status: models.StatusUnknown}, common.Unknown(errors.New("provider failed without a reply"))
	case !ok:
		resp, f = models.ProviderResponse{Status: models.StatusUnavailable}, common.Transient(errors.New("network error"))
		f.Unreachable = true
	}
	switch {
	case isLine && line.Ambiguous:
		f = common.MayHaveBeenAccepted(f)
	case !isLine && resp.Status == models.StatusTimeout:
		f.Ambiguous = true // of the mock, which has no last line
	}
	return resp, f
}

// unreadable reads an answer that is no reply. In answer to the last line it is
// taken for an acceptance, as a 2xx of HTTP with an unreadable body is.
func unreadable(odd *email.ProtocolError, own []string) (models.ProviderResponse, *common.Failure) {
	f := common.Unknown(errors.New("a reply outside the protocol"))
	if odd.Accepted {
		f.Accepted, f.Err = true, errors.New("an unreadable reply to the message")
	}
	return models.ProviderResponse{Status: models.StatusUnknown, Raw: clean(odd.Text, own)}, f
}

// refused reads a reply that refuses the message as a whole.
func refused(reply *email.ReplyError, own []string) (models.ProviderResponse, *common.Failure) {
	status, f := classify(reply.Stage, reply.Reply, own)
	f.Err, f.RetryAfter = shortText(reply.Reply, own), reply.RetryAfter
	return response(reply.Reply, status, own), f
}

// Classify returns the status word and the failure of a reply that refuses at
// a stage, which is as in email.ReplyError, or "RCPT".
func Classify(stage string, r email.Reply) (string, *common.Failure) { return classify(stage, r, nil) }

func classify(stage string, r email.Reply, own []string) (string, *common.Failure) {
	if refusesUs(stage, r, own) {
		return models.StatusUnavailable, setUp(shortText(r, own))
	}
	class, status := classOf(r)
	f := &common.Failure{Class: class, Unreachable: r.Code == 421, Throttle: throttles(r), Err: shortText(r, own)}
	if class == models.FailurePermanent && !itsOwn(stage, r, own) {
		f.Unexplained = models.CutRunes(r.String()+" "+clean(r.Message, own), 200)
	}
	return status, f
}
