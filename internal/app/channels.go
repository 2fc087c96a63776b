// Package app puts the parts of a worker together. It is the only room that
// knows everybody.
package app

import (
	"io"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/sms"
	"messaging-worker/internal/adapters/whatsapp"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	emailprovider "messaging-worker/internal/providers/email"
	"messaging-worker/internal/providers/mock"
	smsprovider "messaging-worker/internal/providers/sms"
	whatsappprovider "messaging-worker/internal/providers/whatsapp"
	"messaging-worker/internal/worker"
)

// Builder makes one channel of its settings. A new channel adds its builder
// here.
type Builder struct {
	Channel models.Channel
	build   func(c *config.Config) (worker.Channel, io.Closer, error)
}

// Builders returns the builder of every channel.
func Builders() []Builder { return []Builder{Email(), SMS(), WhatsApp()} }

// Email builds the email channel.
func Email() Builder {
	return Builder{models.Email, func(c *config.Config) (worker.Channel, io.Closer, error) {
		var provider email.Provider
		var closer io.Closer
		if c.Provider.Name == "smtp" {
			relay, err := relayOf(c)
			if err != nil {
				return nil, nil, err
			}
			provider, closer = relay, relay
		} else {
			m, err := mockOf(c)
			if err != nil {
				return nil, nil, err
			}
			provider, closer = emailprovider.NewMock(m), m
		}
		return worker.Bind(email.New(provider, limits(c), c.Worker.ProviderTimeout)), closer, nil
	}}
}

// SMS builds the SMS channel.
func SMS() Builder {
	return Builder{models.SMS, func(c *config.Config) (worker.Channel, io.Closer, error) {
		var provider sms.Provider
		var closer io.Closer
		if c.Provider.Name == "twilio" {
			client := twilioOf(c)
			provider, closer = smsprovider.NewTwilio(client), client
		} else {
			m, err := mockOf(c)
			if err != nil {
				return nil, nil, err
			}
			provider, closer = smsprovider.NewMock(m), m
		}
		return worker.Bind(sms.New(provider, limits(c), c.Worker.ProviderTimeout)), closer, nil
	}}
}

// WhatsApp builds the WhatsApp channel.
func WhatsApp() Builder {
	return Builder{models.WhatsApp, func(c *config.Config) (worker.Channel, io.Closer, error) {
		var provider whatsapp.Provider
		var closer io.Closer
		switch c.Provider.Name {
		case "twilio":
			client := twilioOf(c)
			provider, closer = whatsappprovider.NewTwilio(client, c.Twilio.ContentSIDs), client
		case "meta":
			client := metaOf(c)
			provider, closer = whatsappprovider.NewMeta(client), client
		default:
			m, err := mockOf(c)
			if err != nil {
				return nil, nil, err
			}
			provider, closer = whatsappprovider.NewMock(m), m
		}
		return worker.Bind(whatsapp.New(provider, limits(c), c.Worker.ProviderTimeout)), closer, nil
	}}
}

// mockOf makes the mock provider of the settings.
func mockOf(c *config.Config) (*mock.Mock, error) {
	m, err := mock.New(mock.Options{Latency: c.Mock.Latency, Ledger: c.Mock.LedgerFile})
	if err != nil {
		return nil, setting("MOCK_LEDGER_FILE", err)
	}
	return m, nil
}

// setting blames one variable.
func setting(name string, err error) error {
	return &config.Error{Problems: []string{name + ": " + err.Error()}}
}

func limits(c *config.Config) common.Limits { return common.Limits(c.Limits) }
