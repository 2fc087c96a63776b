// Package app puts the parts of a worker together. It is the only package that
// imports all others.
package app

import (
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// newChannel makes the channel of a lane's settings, which delivers by p. A new
// channel takes its case here.
func newChannel(c *config.Config, p *parts) worker.Channel {
	limits, timeout := request.Limits(c.Limits), c.Worker.ProviderTimeout
	var channel worker.Channel
	switch models.Channel(c.Channel) {
	case models.Email:
		channel = email.New(p.mail, limits, timeout)
	case models.SMS:
		channel = sms.New(phone.Expiring(p.phone, c.Worker.MaxAge), limits, timeout)
	case models.WhatsApp:
		channel = whatsapp.New(phone.Expiring(p.phone, c.Worker.MaxAge), limits, timeout)
	}
	if p.mock != nil {
		return p.mock.Channel(channel, timeout)
	}
	return channel
}
