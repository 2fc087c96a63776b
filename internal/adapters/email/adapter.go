// Package email turns requests into mails and the server's replies into
// outcomes.
package email

import (
	"context"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email"
	"messaging-worker/internal/util"
)

// Provider holds one mail conversation. Its errors are those of package email,
// and mean that all recipients failed alike; or the network's or ctx's.
type Provider interface {
	Send(ctx context.Context, m email.Message) (email.Receipt, error)
}

// Adapter is the email channel. It is safe for concurrent use.
type Adapter struct {
	provider Provider
	limits   common.Limits
	timeout  time.Duration
	readers  common.Readers
}

// New makes an adapter. Timeout is the limit of one call, for error texts.
func New(provider Provider, limits common.Limits, timeout time.Duration) *Adapter {
	return &Adapter{provider: provider, limits: limits, timeout: timeout}
}

// Recipient returns address i, counted through to, cc and bcc.
func (a *Adapter) Recipient(req *models.EmailRequest, i int) string {
	for _, list := range [][]string{req.To, req.CC, req.BCC} {
		if i < len(list) {
			return list[i]
		}
		i -= len(list)
	}
	return ""
}

// Units returns one unit: every distinct mailbox of to, cc and bcc, the domain
// compared without case.
func (a *Adapter) Units(req *models.EmailRequest) [][]int {
	total := len(req.To) + len(req.CC) + len(req.BCC)
	unit := make([]int, 0, total)
	seen := make(map[string]struct{}, total)
	for i := range total {
		key := util.MailboxKey(a.Recipient(req, i))
		if _, twice := seen[key]; !twice {
			seen[key] = struct{}{}
			unit = append(unit, i)
		}
	}
	return [][]int{unit}
}

// Send holds the conversation for the recipients that are open.
func (a *Adapter) Send(ctx context.Context, req *models.EmailRequest, call common.Call) (models.ProviderResponse, error) {
	unit := a.Units(req)[0]
	m := email.Message{
		ID: req.MessageID, Attempt: call.Attempt, From: req.From, To: req.To, CC: req.CC, BCC: req.BCC,
		Indexes: call.Recipients, Last: unit[len(unit)-1],
		Subject: req.Subject, HTML: req.Body.Type == models.BodyHTML, Body: req.Body.Content,
		CreatedAt: req.CreatedAt, ReplyTo: req.Meta[metaReplyTo], ListUnsubscribe: req.Meta[metaListUnsubscribe], Meta: req.Meta,
	}
	for _, i := range call.Recipients {
		m.Recipients = append(m.Recipients, a.Recipient(req, i))
	}
	receipt, err := a.provider.Send(ctx, m)
	t := conversation{
		recipients: call.Recipients, whole: len(call.Recipients) == len(unit), limit: a.timeout,
		own: append([]string{req.From, req.Subject, req.Body.Content}, m.Recipients...),
	}
	if err != nil {
		resp, f := failed(err, t.limit, t.own)
		rejected := 0
		if f.Class == models.FailurePermanent {
			rejected = len(t.recipients)
		}
		addCounts(&resp, 0, rejected)
		return resp, f
	}
	return withRecipients(receipt, &t)
}
