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

// settled reads a conversation in which recipients had answers of their own.
func settled(receipt email.Receipt, recipients []int, limit time.Duration, own []string) (models.ProviderResponse, error) {
	if len(receipt.Refusals) == 0 && len(receipt.Failed) == 0 {
		return accepted(receipt, models.StatusOK, own), nil
	}
	resp, f := answers(receipt, recipients, own)
	if len(receipt.Failed) > 0 {
		resp, f = join(receipt, recipients, f, limit, own)
	}
	if len(receipt.Refusals)+len(receipt.Failed) < len(recipients) {
		raw := resp.Raw
		resp = accepted(receipt, models.StatusPartial, own)
		resp.Raw = raw
	}
	note(&resp, receipt, recipients, f, own)
	return resp, f
}

// answers reads what the recipients were answered.
func answers(receipt email.Receipt, recipients []int, own []string) (models.ProviderResponse, *common.Failure) {
	f := &common.Failure{Class: models.FailurePermanent, Refused: []int{}, Open: []int{}}
	if len(receipt.Refusals) == 0 {
		return models.ProviderResponse{}, f
	}
	worst := receipt.Refusals[0].Reply
	relays := func(r email.Refusal) bool { return !noRelay(r.Reply, len(recipients) > 1) }
	if len(receipt.Refusals) == len(recipients) && !slices.ContainsFunc(receipt.Refusals, relays) {
		return response(worst, models.StatusUnavailable, own), setUp(shortText(worst, own))
	}
	for _, refusal := range receipt.Refusals {
		class, _ := classOf(refusal.Reply)
		if class == models.FailurePermanent {
			f.Refused = append(f.Refused, recipients[refusal.Recipient])
			continue
		}
		// Open recipients decide what happens next, so theirs is the class.
		f.Open, f.Class, worst = append(f.Open, recipients[refusal.Recipient]), class, refusal.Reply
	}
	_, status := classOf(worst)
	f.Err = shortText(worst, own)
	return response(worst, status, own), f
}

// join adds to the answers f what became of the recipients without one.
func join(receipt email.Receipt, recipients []int, f *common.Failure, limit time.Duration, own []string) (models.ProviderResponse, *common.Failure) {
	resp, rest := failed(receipt.Err, limit, own)
	for _, i := range receipt.Failed {
		if rest.Class == models.FailurePermanent {
			f.Refused = append(f.Refused, recipients[i])
		} else {
			f.Open = append(f.Open, recipients[i])
		}
	}
	slices.Sort(f.Refused)
	slices.Sort(f.Open)
	if rest.Class == models.FailurePermanent && len(f.Open) > 0 {
		rest.Class = f.Class // those who were told to come later decide
	}
	rest.Refused, rest.Open = f.Refused, f.Open
	return resp, rest
}

// note tells in meta what each recipient was answered, by its number: an
// address has no place there. Who was deferred may be accepted later on.
func note(resp *models.ProviderResponse, receipt email.Receipt, recipients []int, f *common.Failure, own []string) {
	if resp.Meta == nil {
		resp.Meta = map[string]string{}
	}
	for _, refusal := range receipt.Refusals {
		key, i := "deferred.", recipients[refusal.Recipient]
		if slices.Contains(f.Refused, i) {
			key = "refused."
		}
		text := refusal.Reply.String() + " " + clean(refusal.Reply.Message, own)
		resp.Meta[key+strconv.Itoa(i)] = models.CutRunes(text, 200)
	}
	resp.Meta["accepted"] = strconv.Itoa(len(recipients) - len(receipt.Refusals) - len(receipt.Failed))
	resp.Meta["rejected"] = strconv.Itoa(len(f.Refused))
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
