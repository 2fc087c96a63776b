// Package app puts the parts of a worker together. It is the only package that
// imports all others.
package app

import (
	"context"
	"io"
	"time"

	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/adapters/mock"
	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/adapters/request"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email/smtp"
	"messaging-worker/internal/providers/twilio"
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
		if c.Provider.Name != "smtp" {
			return mocked(c, email.New(nil, limits(c), c.Worker.ProviderTimeout))
		}
		server, err := newSMTP(c)
		if err != nil {
			return parts{}, err
		}
		return parts{
			provider: server, smtp: server, secret: c.SMTP.Password.Version,
			probe:   newProbe(server.Probe, email.ProbeError, c.Worker.ProviderTimeout),
			channel: email.New(server, limits(c), c.Worker.ProviderTimeout),
		}, nil
	}}
}

// SMS builds the SMS channel.
func SMS() Builder {
	return Builder{models.SMS, func(c *config.Config) (parts, error) {
		if c.Provider.Name != "twilio" {
			return mocked(c, sms.New(nil, limits(c), c.Worker.ProviderTimeout))
		}
		p := twilio.SMS{Client: newTwilio(c)}
		return parts{
			provider: p, secret: twilioSecret(c).Version,
			probe:   newProbe(p.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
			channel: sms.New(p, limits(c), c.Worker.ProviderTimeout),
		}, nil
	}}
}

// WhatsApp builds the WhatsApp channel.
func WhatsApp() Builder {
	return Builder{models.WhatsApp, func(c *config.Config) (parts, error) {
		var p interface {
			phone.Provider
			io.Closer
			Probe(ctx context.Context) error
		}
		var secret func() string
		switch c.Provider.Name {
		case "twilio":
			p, secret = twilio.WhatsApp{Client: newTwilio(c), ContentSIDs: c.Twilio.ContentSIDs}, twilioSecret(c).Version
		case "meta":
			p, secret = newMeta(c), c.Meta.AccessToken.Version
		default:
			return mocked(c, whatsapp.New(nil, limits(c), c.Worker.ProviderTimeout))
		}
		return parts{
			provider: p, secret: secret,
			probe:   newProbe(p.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
			channel: whatsapp.New(p, limits(c), c.Worker.ProviderTimeout),
		}, nil
	}}
}

// mocked has the mock provider answer the calls of a channel.
func mocked(c *config.Config, channel worker.Channel) (parts, error) {
	m, err := newMock(c)
	if err != nil {
		return parts{}, err
	}
	return parts{provider: m, channel: m.Channel(channel, c.Worker.ProviderTimeout)}, nil
}

// newMock makes the mock provider of the settings.
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

func limits(c *config.Config) request.Limits { return request.Limits(c.Limits) }
