// Package email turns requests into mails and the server's replies into
// outcomes.
package email

import (
	"context"
	"slices"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
)

// Provider holds one mail conversation. Its errors are those of package email,
// and mean that all recipients failed alike; or the network's or ctx's.
type Provider interface {
	Send(ctx context.Context, m email.Message) (email.Receipt, error)
}

// Adapter is the email channel. It is safe for concurrent use.
type Adapter struct {
	provider Provider
	limits   request.Limits
	timeout  time.Duration
	readers  request.Readers
}

// New makes an adapter. Timeout is the limit of one call, for error texts.
func New(provider Provider, limits request.Limits, timeout time.Duration) *Adapter {
	return &Adapter{provider: provider, limits: limits, timeout: timeout}
}

// Delivery returns the delivery of a valid request, which must not change any
// more: one call for every distinct mailbox of to, cc and bcc, the domain
// compared without case.
func (a *Adapter) Delivery(req *models.EmailRequest) common.Delivery {
	list := req.To
	if len(req.CC)+len(req.BCC) > 0 {
		list = slices.Concat(req.To, req.CC, req.BCC)
	}
	unit := request.Distinct(list)
	return common.Delivery{
		Envelope: &req.Envelope, Sender: req.From, Recipients: list, Units: [][]int{unit},
		Send: func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
			return a.send(ctx, req, list, call.Recipients, len(call.Recipients) == len(unit))
		},
	}
}

// send holds the conversation for the recipients with these numbers in list.
func (a *Adapter) send(
	ctx context.Context, req *models.EmailRequest, list []string, recipients []int, whole bool,
) (models.ProviderResponse, error) {
	m := email.Message{
		ID: req.MessageID, From: req.From, To: req.To, CC: req.CC, BCC: req.BCC,
		Subject: req.Subject, HTML: req.Body.Type == models.BodyHTML, Body: req.Body.Content,
		CreatedAt: req.CreatedAt, ReplyTo: req.Meta[metaReplyTo], ListUnsubscribe: req.Meta[metaListUnsubscribe],
	}
	for _, i := range recipients {
		m.Recipients = append(m.Recipients, list[i])
	}
	receipt, err := a.provider.Send(ctx, m)
	c := Conversation{
		Recipients: recipients, Whole: whole, Limit: a.timeout,
		Own: append([]string{req.From, req.Subject, req.Body.Content}, m.Recipients...),
	}
	return c.Outcome(receipt, err)
}
