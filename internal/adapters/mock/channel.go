package mock

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"messaging-worker/internal/adapters/common"
	emailadapter "messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/email"
)

// Decoder is a channel. Its own Send is never called.
type Decoder interface {
	Decode(rec *models.Record) (common.Delivery, error)
}

// Channel decodes as inner does. What its deliveries' calls come to is decided
// by their requests' meta. Timeout is the limit of one call, for error texts.
func (m *Mock) Channel(inner Decoder, timeout time.Duration) Decoder {
	return channel{inner, m, timeout}
}

type channel struct {
	inner   Decoder
	mock    *Mock
	timeout time.Duration
}

func (c channel) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := c.inner.Decode(rec)
	if err != nil {
		return d, err //nolint:wrapcheck // only *common.Violations
	}
	envelope, recipients, units := d.Envelope, d.Recipients, d.Units
	d.Send = func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		last := units[len(units)-1]
		o, err := c.mock.Play(ctx, envelope, last[len(last)-1], call)
		var resp models.ProviderResponse
		var failure error
		if envelope.Channel == models.Email {
			resp, failure = c.mail(envelope.MessageID, call.Recipients, len(units[0]), o, err)
		} else {
			resp, failure = c.http(envelope.MessageID, recipients[call.Recipients[0]], call, o, err)
		}
		if f := common.Classify(failure); f != nil {
			// A call that hangs may have been accepted, though nothing was written.
			f.Ambiguous = f.Ambiguous || errors.Is(err, context.DeadlineExceeded)
			f.RetryAfter = o.RetryAfter
		}
		return resp, failure
	}
	return d, nil
}

// mail answers as a mail server does. Of is how many recipients the whole
// message has.
func (c channel) mail(id string, recipients []int, of int, o Outcome, err error) (models.ProviderResponse, error) {
	if o.Result != Accepted && err == nil {
		err = &email.ReplyError{Reply: replyTo(o), Stage: email.StageMessage}
	}
	var receipt email.Receipt
	for i, recipient := range recipients {
		if slices.Contains(o.Refused, recipient) {
			receipt.Refusals = append(receipt.Refusals, email.Refusal{
				Recipient: i, Reply: email.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Message: "recipient rejected"},
			})
		}
	}
	if len(receipt.Refusals) < len(recipients) {
		receipt.Reply = email.Reply{Code: 250, Enhanced: [3]int{2, 0, 0}, Message: "queued"}
		receipt.QueueID = "mock-" + id
	}
	call := emailadapter.Conversation{Recipients: recipients, Whole: len(recipients) == of, Limit: c.timeout}
	return call.Outcome(receipt, err)
}

// replyTo is the reply that refuses a message.
func replyTo(o Outcome) email.Reply {
	return map[string]email.Reply{
		"transient":    {Code: 451, Enhanced: [3]int{4, 3, 0}, Message: "try again later"},
		"permanent":    {Code: 550, Enhanced: [3]int{5, 7, 1}, Message: "message refused"},
		Unplayable:     {Code: 554, Enhanced: [3]int{5, 6, 0}, Message: o.Reason},
		"rate_limited": {Code: 450, Enhanced: [3]int{4, 7, 1}, Message: "rate limit exceeded"},
		"unknown":      {Code: 299, Message: "a reply outside the protocol"},
	}[o.Result]
}

// http answers as an HTTP provider does that has no table of codes.
func (c channel) http(id, to string, call common.Call, o Outcome, err error) (models.ProviderResponse, error) {
	if len(o.Refused) > 0 {
		o.Result = "permanent"
	}
	if o.Result == Accepted || err != nil {
		return httpapi.Result(to, api.Receipt{
			Status: http.StatusCreated, Kind: "id", Message: "queued",
			ID: "mock-" + id + "-" + strconv.Itoa(call.Attempt) + "-" + strconv.Itoa(call.Recipients[0]),
		}, err, c.timeout)
	}
	e := answerTo(o)
	resp, err := httpapi.Result(to, api.Receipt{}, e, c.timeout)
	f := common.Classify(err)
	f.Throttle = false // a scripted limit is about one message
	if e.Status >= 500 {
		f.Err = fmt.Errorf("http %d", e.Status)
	}
	return resp, f
}

// answerTo is the answer that refuses a message.
func answerTo(o Outcome) *api.Error {
	e := map[string]api.Error{
		"transient":    {Status: http.StatusServiceUnavailable, Message: "Service unavailable"},
		"permanent":    {Status: http.StatusBadRequest, Message: "Recipient refused"},
		Unplayable:     {Status: http.StatusBadRequest, Message: o.Reason},
		"rate_limited": {Status: http.StatusTooManyRequests, Message: "Rate limit exceeded"},
		"unknown":      {Message: "A reply outside the protocol"},
	}[o.Result]
	e.Provider, e.Code = "Mock", e.Status
	e.Raw = fmt.Sprintf(`{"status":%d,"message":%q}`, e.Status, e.Message)
	return &e
}
