package email

import (
	"errors"
	"fmt"
	"strconv"
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
	text := models.CutRunes(common.Clean(r.Message, own...), 200)
	if text == "" {
		return fmt.Errorf("smtp %d", r.Code)
	}
	return fmt.Errorf("smtp %d %s", r.Code, text)
}

func response(r email.Reply, status string, own []string) models.ProviderResponse {
	resp := models.ProviderResponse{Status: status, Code: r.Code, Message: common.Clean(r.Message, own...)}
	if status != models.StatusOK {
		resp.Raw = common.Clean(r.String()+" "+r.Message, own...)
	}
	return resp
}

// refusedWhole reads an error of the provider: no recipient has the mail.
func refusedWhole(err error, limit time.Duration, own []string) (models.ProviderResponse, error) {
	reply, ok := errors.AsType[*email.ReplyError](err)
	if ok {
		class, status := classOf(reply.Reply)
		return response(reply.Reply, status, own), &common.Failure{
			Class: class, RetryAfter: reply.RetryAfter,
			Unreachable: reply.Code == 421, Err: shortText(reply.Reply, own),
		}
	}
	if resp, failure, ok := common.ClassifyNetwork(err, limit); ok {
		return resp, failure
	}
	return models.ProviderResponse{Status: models.StatusUnknown}, common.Unknown(errors.New("provider failed without a reply"))
}

// settled reads a conversation in which each recipient had an answer of its
// own.
func settled(receipt email.Receipt, recipients []int, own []string) (models.ProviderResponse, error) {
	if len(receipt.Refusals) == 0 {
		return accepted(receipt, models.StatusOK, own), nil
	}
	f := &common.Failure{Class: models.FailurePermanent, Refused: []int{}, Open: []int{}}
	worst := receipt.Refusals[0].Reply
	for _, refusal := range receipt.Refusals {
		class, _ := classOf(refusal.Reply)
		if class == models.FailurePermanent {
			f.Refused = append(f.Refused, recipients[refusal.Recipient])
			continue
		}
		// Open recipients decide what happens next, so theirs is the class.
		f.Open, f.Class, worst = append(f.Open, recipients[refusal.Recipient]), class, refusal.Reply
	}
	f.Err = shortText(worst, own)
	if len(receipt.Refusals) == len(recipients) {
		_, status := classOf(worst)
		return response(worst, status, own), f
	}
	resp := accepted(receipt, models.StatusPartial, own)
	resp.Raw = common.Clean(worst.String()+" "+worst.Message, own...)
	resp.Meta["rejected"] = strconv.Itoa(len(receipt.Refusals))
	return resp, f
}

func accepted(receipt email.Receipt, status string, own []string) models.ProviderResponse {
	resp := response(receipt.Reply, status, own)
	resp.Raw, resp.Meta = "", map[string]string{}
	if receipt.QueueID != "" {
		resp.Meta["queue_id"] = receipt.QueueID
	}
	return resp
}
