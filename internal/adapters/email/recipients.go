package email

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// Conversation is what a call asked the server for.
type Conversation struct {
	Recipients []int         // their numbers in the request
	Whole      bool          // no other recipient of the message was accepted or refused before
	Limit      time.Duration // of the call, for error texts
	Own        []string      // texts of the request that a reply may repeat
}

// Outcome classifies how the conversation ended: with a receipt, or with the
// provider's error. Its error is nil or a *common.Failure.
func (c *Conversation) Outcome(receipt email.Receipt, err error) (models.ProviderResponse, error) {
	if err != nil {
		resp, f := failed(err, c.Limit, c.Own)
		rejected := 0
		if f.Class == models.FailurePermanent {
			rejected = len(c.Recipients)
		}
		addCounts(&resp, 0, rejected)
		return resp, f
	}
	if len(receipt.Refusals) == 0 && len(receipt.Failed) == 0 {
		resp := accepted(receipt, models.StatusOK, c.Own)
		addCounts(&resp, len(c.Recipients), 0)
		return resp, nil
	}
	resp, f := recipientAnswers(receipt, c)
	if len(receipt.Failed) > 0 {
		resp, f = addFailed(receipt, c, resp, f)
	}
	if len(receipt.Refusals)+len(receipt.Failed) < len(c.Recipients) {
		raw := resp.Raw
		resp = accepted(receipt, models.StatusPartial, c.Own)
		resp.Raw = raw
	}
	addMeta(&resp, receipt, c, f)
	return resp, f
}

// recipientAnswers classifies the replies to single recipients.
func recipientAnswers(receipt email.Receipt, c *Conversation) (models.ProviderResponse, *common.Failure) {
	f := &common.Failure{Class: models.FailurePermanent, Refused: []int{}, Open: []int{}, Answers: map[int]common.Answer{}}
	if len(receipt.Refusals) == 0 {
		return models.ProviderResponse{}, f
	}
	worst := receipt.Refusals[0].Reply
	relays := func(r email.Refusal) bool { return !deniesRelaying(r.Reply, c) }
	nobody := len(receipt.Refusals) == len(c.Recipients)
	if nobody && !slices.ContainsFunc(receipt.Refusals, relays) {
		return response(worst, models.StatusUnavailable, c.Own), setupFailure(shortText(worst, c.Own))
	}
	for _, refusal := range receipt.Refusals {
		number := c.Recipients[refusal.Recipient]
		class, status := classOf(refusal.Reply)
		ofUs := false
		if nobody { // a server that took others, or may have, does not refuse us
			var alone *common.Failure
			status, alone = Classify(email.StageRCPT, refusal.Reply, c.Own)
			class, ofUs = alone.Class, alone.AboutUs
			f.Unexplained = cmp.Or(f.Unexplained, alone.Unexplained)
		}
		f.Answers[number] = common.Answer{
			Class: class, Err: shortText(refusal.Reply, c.Own), Response: response(refusal.Reply, status, c.Own),
		}
		if class == models.FailurePermanent {
			f.Refused = append(f.Refused, number)
			continue
		}
		// Open recipients decide what happens next, so theirs is the class.
		f.Open, worst, f.Class = append(f.Open, number), refusal.Reply, class
		f.Unreachable = f.Unreachable || ofUs
	}
	_, status := classOf(worst)
	if f.Unreachable {
		status = models.StatusUnavailable
	}
	f.Err = shortText(worst, c.Own)
	if slices.ContainsFunc(receipt.Refusals, c.explained) {
		f.Unexplained = ""
	}
	return response(worst, status, c.Own), f
}

// explained reports a recipient that was refused for its own sake: a server
// that looks at recipients has let us in.
func (c *Conversation) explained(r email.Refusal) bool {
	return refusesMessage(email.StageRCPT, r.Reply, c.Own)
}

// addFailed adds to the failure f, whose response was deferral, the recipients
// that had no reply of their own.
func addFailed(receipt email.Receipt, c *Conversation, deferral models.ProviderResponse, f *common.Failure) (models.ProviderResponse, *common.Failure) {
	resp, rest := failed(receipt.Err, c.Limit, c.Own)
	deferred := len(f.Open) > 0
	rest.Answers = f.Answers
	rest.NotCalled, rest.AboutUs = false, false // the others were called
	for _, i := range receipt.Failed {
		number := c.Recipients[i]
		rest.Answers[number] = common.Answer{Class: rest.Class, Err: rest.Err, Response: resp}
		if rest.Ambiguous || rest.Accepted { // deferred recipients certainly do not have it
			rest.Doubtful = append(rest.Doubtful, number)
		}
		switch {
		case rest.Accepted: // neither: they are in Doubtful
		case rest.Class == models.FailurePermanent:
			f.Refused = append(f.Refused, number)
		default:
			f.Open = append(f.Open, number)
		}
	}
	slices.Sort(f.Refused)
	slices.Sort(f.Open)
	if (rest.Class == models.FailurePermanent || rest.Accepted) && deferred { // the deferred recipients decide what happens next
		rest.Class, rest.Err, resp = f.Class, f.Err, deferral
	}
	rest.Refused, rest.Open = f.Refused, f.Open
	if len(receipt.Failed)+len(receipt.Refusals) < len(c.Recipients) || slices.ContainsFunc(receipt.Refusals, c.explained) {
		rest.Unexplained = "" // one was accepted, or refused for its own sake
	}
	return resp, rest
}

// addMeta adds the reply to each recipient to meta, by number: addresses must
// not appear there. A deferred recipient may be accepted by a later attempt.
func addMeta(resp *models.ProviderResponse, receipt email.Receipt, c *Conversation, f *common.Failure) {
	addCounts(resp, len(c.Recipients)-len(receipt.Refusals)-len(receipt.Failed), len(f.Refused))
	for _, refusal := range receipt.Refusals {
		key, i := "deferred.", c.Recipients[refusal.Recipient]
		if slices.Contains(f.Refused, i) {
			key = "refused."
		}
		text := refusal.Reply.String() + " " + clean(refusal.Reply.Message, c.Own)
		resp.Meta[key+strconv.Itoa(i)] = models.CutRunes(text, 200)
	}
}

// addCounts adds to meta how many recipients of the call have the mail, and how
// many are refused for good.
func addCounts(resp *models.ProviderResponse, accepted, rejected int) {
	if resp.Meta == nil {
		resp.Meta = map[string]string{}
	}
	resp.Meta["accepted"], resp.Meta["rejected"] = strconv.Itoa(accepted), strconv.Itoa(rejected)
}

func accepted(receipt email.Receipt, status string, own []string) models.ProviderResponse {
	resp := response(receipt.Reply, status, own)
	resp.Raw, resp.Meta = "", map[string]string{}
	if receipt.QueueID != "" && !containsMailbox(receipt.QueueID, own) {
		resp.Meta["queue_id"] = receipt.QueueID
	}
	return resp
}

// containsMailbox reports whether a queue id, which is passed on as it is,
// contains one of the message's mailboxes.
func containsMailbox(queueID string, own []string) bool {
	if !strings.Contains(queueID, "@") {
		return false // as nearly all
	}
	queueID = strings.ToLower(queueID)
	return slices.ContainsFunc(own, func(s string) bool {
		return util.IsMailbox(s) && strings.Contains(queueID, strings.ToLower(s))
	})
}
