// Package app puts the parts of a worker together. It is the only room that
// knows everybody.
package app

import (
	"fmt"
	"io"
	"strings"

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
		if c.Provider.Name == "smtp" {
			relay, err := relayOf(c)
			if err != nil {
				return nil, nil, err
			}
			return worker.Bind(email.New(relay, limits(c), c.Worker.ProviderTimeout)), relay, nil
		}
		m, err := mockOnly(c)
		if err != nil {
			return nil, nil, err
		}
		return worker.Bind(email.New(emailprovider.NewMock(m), limits(c), c.Worker.ProviderTimeout)), m, nil
	}}
}

// SMS builds the SMS channel.
func SMS() Builder {
	return Builder{models.SMS, func(c *config.Config) (worker.Channel, io.Closer, error) {
		m, err := mockOnly(c)
		if err != nil {
			return nil, nil, err
		}
		return worker.Bind(sms.New(smsprovider.NewMock(m), limits(c), c.Worker.ProviderTimeout)), m, nil
	}}
}

// WhatsApp builds the WhatsApp channel.
func WhatsApp() Builder {
	return Builder{models.WhatsApp, func(c *config.Config) (worker.Channel, io.Closer, error) {
		m, err := mockOnly(c)
		if err != nil {
			return nil, nil, err
		}
		return worker.Bind(whatsapp.New(whatsappprovider.NewMock(m), limits(c), c.Worker.ProviderTimeout)), m, nil
	}}
}

// mockOnly makes the mock provider and refuses the others: they are valid
// settings, but this version does not have them.
func mockOnly(c *config.Config) (*mock.Mock, error) {
	if c.Provider.Name != "mock" {
		return nil, setting(strings.ToUpper(c.Channel)+"_PROVIDER", fmt.Errorf("%s is not part of this version; use mock", c.Provider.Name))
	}
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
