// Package app puts the parts of a worker together. It is the only package that
// imports all others.
package app

import (
	"context"
	"io"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	emailprovider "messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/email/smtp"
	"messaging-worker/internal/providers/mock"
	smsprovider "messaging-worker/internal/providers/sms"
	whatsappprovider "messaging-worker/internal/providers/whatsapp"
	"messaging-worker/internal/worker"
)

// Builder makes one channel of its settings. A new channel adds its builder
// here.
type Builder struct {
	Channel models.Channel
	build   func(c *config.Config) (parts, error)
}

// parts are what a builder makes.
type parts struct {
	channel  worker.Channel
	provider io.Closer
	probe    func(ctx context.Context) error // nil: there is nothing to probe
	smtp     *smtp.Provider                  // nil: none is called
	secret   func() string                   // changes when the credentials do; nil: never
}

// newProbe makes a probe of a provider's own whose errors are classified.
func newProbe(
	ask func(context.Context) error, reading func(error, time.Duration) error, limit time.Duration,
) func(context.Context) error {
	return func(ctx context.Context) error { return reading(ask(ctx), limit) }
}

// Builders returns the builder of every channel.
func Builders() []Builder { return []Builder{Email(), SMS(), WhatsApp()} }

// Email builds the email channel.
func Email() Builder {
	return Builder{models.Email, func(c *config.Config) (parts, error) {
		var p parts
		var provider email.Provider
		if c.Provider.Name == "smtp" {
			server, err := newSMTP(c)
			if err != nil {
				return p, err
			}
			provider, p.provider, p.smtp = server, server, server
			p.probe = newProbe(server.Probe, email.ProbeError, c.Worker.ProviderTimeout)
			p.secret = c.SMTP.Password.Version
		} else {
			m, err := newMock(c)
			if err != nil {
				return p, err
			}
			provider, p.provider = emailprovider.NewMock(m), m
		}
		p.channel = worker.Bind(email.New(provider, limits(c), c.Worker.ProviderTimeout))
		return p, nil
	}}
}

// SMS builds the SMS channel.
func SMS() Builder {
	return Builder{models.SMS, func(c *config.Config) (parts, error) {
		var p parts
		var provider sms.Provider
		if c.Provider.Name == "twilio" {
			client := newTwilio(c)
			provider, p.provider = smsprovider.NewTwilio(client), client
			p.probe = newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout)
			p.secret = twilioSecret(c).Version
		} else {
			m, err := newMock(c)
			if err != nil {
				return p, err
			}
			provider, p.provider = smsprovider.NewMock(m), m
		}
		p.channel = worker.Bind(sms.New(provider, limits(c), c.Worker.ProviderTimeout))
		return p, nil
	}}
}

// WhatsApp builds the WhatsApp channel.
func WhatsApp() Builder {
	return Builder{models.WhatsApp, func(c *config.Config) (parts, error) {
		var p parts
		var provider whatsapp.Provider
		switch c.Provider.Name {
		case "twilio":
			client := newTwilio(c)
			provider, p.provider = whatsappprovider.NewTwilio(client, c.Twilio.ContentSIDs), client
			p.probe = newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout)
			p.secret = twilioSecret(c).Version
		case "meta":
			client := newMeta(c)
			provider, p.provider = whatsappprovider.NewMeta(client), client
			p.probe = newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout)
			p.secret = c.Meta.AccessToken.Version
		default:
			m, err := newMock(c)
			if err != nil {
				return p, err
			}
			provider, p.provider = whatsappprovider.NewMock(m), m
		}
		p.channel = worker.Bind(whatsapp.New(provider, limits(c), c.Worker.ProviderTimeout))
		return p, nil
	}}
}

// mockOf makes the mock provider of the settings.
func newMock(c *config.Config) (*mock.Mock, error) {
	m, err := mock.New(mock.Options{Latency: c.Mock.Latency, Ledger: c.Mock.LedgerFile})
	if err != nil {
		return nil, settingError("MOCK_LEDGER_FILE", err)
	}
	return m, nil
}

// settingError is an error about one variable.
func settingError(name string, err error) error {
	return &config.Error{Problems: []string{name + ": " + err.Error()}}
}

func limits(c *config.Config) common.Limits { return common.Limits(c.Limits) }
