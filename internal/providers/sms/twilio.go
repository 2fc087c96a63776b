package sms

import (
	"context"
	"net/url"

	"messaging-worker/internal/providers/api"
	"messaging-worker/internal/providers/twilio"
)

// Twilio delivers text messages through Twilio.
type Twilio struct{ client *twilio.Client }

// NewTwilio makes a provider of a client.
func NewTwilio(c *twilio.Client) *Twilio { return &Twilio{c} }

// Send makes one call. Its errors are *api.Error and *api.ConnectionError.
func (p *Twilio) Send(ctx context.Context, m Message) (api.Receipt, error) {
	return p.client.Send(ctx, twilio.Message{
		ID: m.ID, Index: m.Index, From: m.From, To: m.To, CreatedAt: m.CreatedAt,
	}, url.Values{"Body": {m.Body}})
}

// Probe asks whether Twilio is there and lets us in.
func (p *Twilio) Probe(ctx context.Context) error { return p.client.Probe(ctx) }
