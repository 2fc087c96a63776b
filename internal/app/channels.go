// Package app puts the parts of a worker together. It is the only package that
// imports all others.
package app

import (
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// Builder makes one channel of its settings. A new channel adds its builder
// here.
type Builder struct {
	Channel models.Channel
	adapter func(c *config.Config, p *parts) worker.Channel
}

// Builders returns the builder of every channel.
func Builders() []Builder { return []Builder{Email(), SMS(), WhatsApp()} }

// Email builds the email channel.
func Email() Builder {
	return Builder{models.Email, func(c *config.Config, p *parts) worker.Channel {
		return email.New(p.mail, request.Limits(c.Limits), c.Worker.ProviderTimeout)
	}}
}

// SMS builds the SMS channel.
func SMS() Builder {
	return Builder{models.SMS, func(c *config.Config, p *parts) worker.Channel {
		return sms.New(p.phone, request.Limits(c.Limits), c.Worker.ProviderTimeout)
	}}
}

// WhatsApp builds the WhatsApp channel.
func WhatsApp() Builder {
	return Builder{models.WhatsApp, func(c *config.Config, p *parts) worker.Channel {
		return whatsapp.New(p.phone, request.Limits(c.Limits), c.Worker.ProviderTimeout)
	}}
}

// build makes the channel, and the provider of its settings. It does not
// connect.
func (b Builder) build(c *config.Config) (parts, error) {
	p, err := ProviderOf(c).open(c)
	if err != nil {
		return parts{}, err
	}
	p.channel = b.adapter(c, &p)
	if p.mock != nil {
		p.channel = p.mock.Channel(p.channel, c.Worker.ProviderTimeout)
	}
	return p, nil
}
