package email

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// talk is what a conversation was to bring about.
type talk struct {
	recipients []int         // their numbers in the request
	whole      bool          // nobody else of the message was reached or refused before
	limit      time.Duration // of the call, for error texts
	own        []string      // texts of the request that an answer may repeat
}

// settled reads a conversation in which recipients had answers of their own.
func settled(receipt email.Receipt, t *talk) (models.ProviderResponse, error) {
	if len(receipt.Refusals) == 0 && len(receipt.Failed) == 0 {
		resp := accepted(receipt, models.StatusOK, t.own)
		count(&resp, len(t.recipients), 0)
		return resp, nil
	}
	resp, f := answers(receipt, t)
	if len(receipt.Failed) > 0 {
		resp, f = join(receipt, t, resp, f)
	}
	if len(receipt.Refusals)+len(receipt.Failed) < len(t.recipients) {
		raw := resp.Raw
		resp = accepted(receipt, models.StatusPartial, t.own)
		resp.Raw = raw
	}
	note(&resp, receipt, t, f)
	return resp, f
}

// answers reads what the recipients were answered.
func answers(receipt email.Receipt, t *talk) (models.ProviderResponse, *common.Failure) {
	f := &common.Failure{Class: models.FailurePermanent, Refused: []int{}, Open: []int{}, Answers: map[int]common.Answer{}}
	if len(receipt.Refusals) == 0 {
		return models.ProviderResponse{}, f
	}
	worst := receipt.Refusals[0].Reply
	relays := func(r email.Refusal) bool { return !noRelay(r.Reply, t) }
	nobody := len(receipt.Refusals) == len(t.recipients)
	if nobody && !slices.ContainsFunc(receipt.Refusals, relays) {
		return response(worst, models.StatusUnavailable, t.own), setUp(shortText(worst, t.own))
	}
	for _, refusal := range receipt.Refusals {
		class, status := classOf(refusal.Reply)
		// A server that took others, or may have, does not refuse us.
		ofUs := nobody && refusesUs(rcpt, refusal.Reply, t.own)
		if ofUs {
			class, status = models.FailureTransient, models.StatusUnavailable
		}
		f.Answers[t.recipients[refusal.Recipient]] = common.Answer{
			Class: class, Err: shortText(refusal.Reply, t.own), Response: response(refusal.Reply, status, t.own),
		}
		if class == models.FailurePermanent {
			f.Refused = append(f.Refused, t.recipients[refusal.Recipient])
			continue
		}
		// Open recipients decide what happens next, so theirs is the class.
		f.Open, worst, f.Class = append(f.Open, t.recipients[refusal.Recipient]), refusal.Reply, class
		f.Unreachable = f.Unreachable || ofUs
	}
	_, status := classOf(worst)
	if f.Unreachable {
		status = models.StatusUnavailable
	}
	f.Err = shortText(worst, t.own)
	if nobody && !slices.ContainsFunc(receipt.Refusals, t.explained) {
		f.Unexplained = unexplained(receipt.Refusals, t)
	}
	return response(worst, status, t.own), f
}

// rcpt is the stage at which recipients are refused.
const rcpt = "RCPT"

// explained reports a recipient that was refused for its own sake: a server
// that looks at recipients has let us in.
func (t *talk) explained(r email.Refusal) bool {
	return itsOwn(rcpt, r.Reply, t.own)
}

// unexplained names the first refusal that may be about us, or "".
func unexplained(refusals []email.Refusal, t *talk) string {
	for _, r := range refusals {
		if _, f := classify(rcpt, r.Reply, t.own); f.Unexplained != "" {
			return f.Unexplained
		}
	}
	return ""
}

// join adds to the answers f, which told was the response to, what became of the
// recipients without one.
func join(receipt email.Receipt, t *talk, told models.ProviderResponse, f *common.Failure) (models.ProviderResponse, *common.Failure) {
	resp, rest := failed(receipt.Err, t.limit, t.own)
	deferred := len(f.Open) > 0
	rest.Answers = f.Answers
	rest.NotCalled, rest.AboutUs = false, false // the others were called
	for _, i := range receipt.Failed {
		rest.Answers[t.recipients[i]] = common.Answer{Class: rest.Class, Err: rest.Err, Response: resp}
		switch {
		case rest.Accepted: // neither: they are in Doubtful
		case rest.Class == models.FailurePermanent:
			f.Refused = append(f.Refused, t.recipients[i])
		default:
			f.Open = append(f.Open, t.recipients[i])
		}
	}
	if rest.Ambiguous || rest.Accepted { // who was told to come later has it for certain not
		rest.Doubtful = make([]int, 0, len(receipt.Failed))
		for _, i := range receipt.Failed {
			rest.Doubtful = append(rest.Doubtful, t.recipients[i])
		}
	}
	slices.Sort(f.Refused)
	slices.Sort(f.Open)
	if (rest.Class == models.FailurePermanent || rest.Accepted) && deferred { // those who were told to come later decide
		rest.Class, rest.Err, resp = f.Class, f.Err, told
	}
	rest.Refused, rest.Open = f.Refused, f.Open
	if len(receipt.Failed)+len(receipt.Refusals) < len(t.recipients) || slices.ContainsFunc(receipt.Refusals, t.explained) {
		rest.Unexplained = "" // somebody was taken, or refused for that one's own sake
	}
	return resp, rest
}

// note tells in meta what each recipient was answered, by its number: an
// address has no place there. Who was deferred may be accepted later on.
func note(resp *models.ProviderResponse, receipt email.Receipt, t *talk, f *common.Failure) {
	count(resp, len(t.recipients)-len(receipt.Refusals)-len(receipt.Failed), len(f.Refused))
	for _, refusal := range receipt.Refusals {
		key, i := "deferred.", t.recipients[refusal.Recipient]
		if slices.Contains(f.Refused, i) {
			key = "refused."
		}
		text := refusal.Reply.String() + " " + clean(refusal.Reply.Message, t.own)
		resp.Meta[key+strconv.Itoa(i)] = models.CutRunes(text, 200)
	}
}

// count tells in meta how many recipients of the call have the mail, and how
// many are refused for good.
func count(resp *models.ProviderResponse, accepted, rejected int) {
	if resp.Meta == nil {
		resp.Meta = map[string]string{}
	}
	resp.Meta["accepted"], resp.Meta["rejected"] = strconv.Itoa(accepted), strconv.Itoa(rejected)
}

func accepted(receipt email.Receipt, status string, own []string) models.ProviderResponse {
	resp := response(receipt.Reply, status, own)
	resp.Raw, resp.Meta = "", map[string]string{}
	if receipt.QueueID != "" && !names(receipt.QueueID, own) {
		resp.Meta["queue_id"] = receipt.QueueID
	}
	return resp
}

// names reports whether a queue id, which is kept as it is, has one of the
// message's mailboxes in it.
func names(queueID string, own []string) bool {
	if !strings.Contains(queueID, "@") {
		return false // as nearly all
	}
	queueID = strings.ToLower(queueID)
	return slices.ContainsFunc(own, func(s string) bool {
		return util.IsMailbox(s) && strings.Contains(queueID, strings.ToLower(s))
	})
}
