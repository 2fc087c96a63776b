// Package whatsapp turns requests into WhatsApp messages and the provider's answers
// into outcomes.
package whatsapp

import (
	"context"
	"strings"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/whatsapp"
)

// Provider delivers one WhatsApp message to one number. Its errors are
// *api.Error for an answer, and the network's or ctx's where none came.
type Provider interface {
	Send(ctx context.Context, m whatsapp.Message) (api.Receipt, error)
}

// Adapter is the WhatsApp channel. It is safe for concurrent use.
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

// Recipient returns number i of to.
func (a *Adapter) Recipient(req *models.WhatsAppRequest, i int) string { return req.To[i] }

// Units returns one unit for each distinct number.
func (a *Adapter) Units(req *models.WhatsAppRequest) [][]int { return httpapi.Units(req.To) }

// Send makes the call for the one recipient of a unit.
func (a *Adapter) Send(ctx context.Context, req *models.WhatsAppRequest, call common.Call) (models.ProviderResponse, error) {
	i := call.Recipients[0]
	units := httpapi.Units(req.To)
	receipt, err := a.provider.Send(ctx, whatsapp.Message{
		ID: req.MessageID, Attempt: call.Attempt, From: req.From, To: req.To[i],
		Index: i, CreatedAt: req.CreatedAt, Last: units[len(units)-1][0], Body: req.Body.Content,
		Kind: req.Body.Type, MIME: req.Body.MediaType, Meta: req.Meta,
	})
	own := []string{req.To[i], req.From, req.Body.Content}
	if err != nil { // its words may quote what fills a template, too
		for key, value := range req.Meta {
			if strings.HasPrefix(key, "template.") || key == "media.caption" {
				own = append(own, value)
			}
		}
	}
	return httpapi.Result(req.To[i], receipt, err, a.timeout, own...)
}
