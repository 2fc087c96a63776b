// Package phone is the adapter of the channels that reach telephone numbers
// through providers that speak HTTP: one call reaches one number.
package phone

import (
	"context"
	"slices"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/util"
)

// Provider delivers one message to one number. Its errors are *api.Error for
// an answer and *api.ConnectionError where none came.
type Provider interface {
	Send(ctx context.Context, m api.Message) (api.Receipt, error)
}

// Expiring returns p for messages that are worth nothing once their request is as
// old as maxAge; zero is no limit. One provider may deliver messages of several
// limits.
func Expiring(p Provider, maxAge time.Duration) Provider {
	if maxAge <= 0 {
		return p
	}
	return expiring{p, maxAge}
}

type expiring struct {
	Provider

	maxAge time.Duration
}

// Send implements Provider.
func (e expiring) Send(ctx context.Context, m api.Message) (api.Receipt, error) {
	m.ExpiresAt = m.CreatedAt.Add(e.maxAge)
	return e.Provider.Send(ctx, m) //nolint:wrapcheck // its errors are the provider's own
}

// Adapter is one channel. It is safe for concurrent use.
type Adapter struct {
	channel  models.Channel
	provider Provider
	limits   request.Limits
	timeout  time.Duration
	check    func(r *request.Reader, req *models.PhoneRequest)
	single   [][]int // the units of a request with one number
	readers  request.Readers
}

// New makes the adapter of a channel. Timeout is the limit of one call, for
// error texts. Check holds the channel's rules for the body.
func New(
	channel models.Channel, provider Provider, limits request.Limits, timeout time.Duration,
	check func(r *request.Reader, req *models.PhoneRequest),
) *Adapter {
	return &Adapter{channel: channel, provider: provider, limits: limits, timeout: timeout, check: check, single: [][]int{{0}}}
}

// Decode reads and checks a request of the channel. Its only error is
// *common.Violations.
func (a *Adapter) Decode(rec *models.Record) (common.Delivery, error) {
	req := &models.PhoneRequest{}
	err := a.readers.Read(rec, a.channel, &a.limits, &req.Envelope, func(r *request.Reader, name string) bool {
		switch name {
		case "from":
			r.String(name, &req.From)
		case "to":
			r.Strings(name, &req.To)
		case "body":
			r.Body(&req.Body)
		default:
			return false
		}
		return true
	}, func(r *request.Reader) {
		const want = "an E.164 number"
		r.Addressee("from", req.From, util.IsE164, want)
		r.List("to", req.To, 1, a.limits.Recipients, util.IsE164, want)
		a.check(r, req)
	})
	if err != nil {
		return common.Delivery{}, err
	}
	return a.Delivery(req), nil
}

// Delivery returns the delivery of a valid request, which must not change any
// more: one call for every distinct number.
func (a *Adapter) Delivery(req *models.PhoneRequest) common.Delivery {
	units := a.single
	if len(req.To) > 1 {
		units = slices.Collect(slices.Chunk(request.Distinct(req.To), 1))
	}
	return common.Delivery{
		Envelope: &req.Envelope, Sender: req.From, Recipients: req.To, Units: units,
		Send: func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
			return a.send(ctx, req, call.Recipients[0])
		},
	}
}

func (a *Adapter) send(ctx context.Context, req *models.PhoneRequest, recipient int) (models.ProviderResponse, error) {
	to := req.To[recipient]
	receipt, err := a.provider.Send(ctx, api.Message{
		ID: req.MessageID, From: req.From, To: to, Recipient: recipient, CreatedAt: req.CreatedAt,
		Kind: req.Body.Type, Body: req.Body.Content, MediaType: req.Body.MediaType, Meta: req.Meta,
	})
	own := []string{to, req.From, req.Body.Content}
	if err != nil && a.channel == models.WhatsApp { // the answer may quote template variables, too
		for key, value := range req.Meta {
			if strings.HasPrefix(key, api.MetaTemplate) || key == api.MetaCaption {
				own = append(own, value)
			}
		}
	}
	return httpapi.Result(to, receipt, err, a.timeout, own...)
}
