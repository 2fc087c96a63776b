package app

import (
	"context"
	"io"
	"slices"
	"time"

	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/adapters/mock"
	"messaging-worker/internal/adapters/phone"
	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/email/smtp"
	"messaging-worker/internal/worker/route"
)

// Provider is one row of the table of providers.
type Provider struct {
	Name   string
	Advice string // which settings a probe depends on; empty for a provider without a probe

	open func(c *config.Config) (parts, error)
}

// providers is the table. A new provider takes its row here; what it has to be
// told is a row of package config.
func providers() []Provider {
	return []Provider{
		{"mock", "", openMock},
		{
			"smtp", "check SMTP_HOST, SMTP_PORT, SMTP_TLS and SMTP_TLS_CA_FILE; if it refuses our credentials, SMTP_USERNAME, SMTP_PASSWORD and SMTP_AUTH; a 421 may mean that workers which run have all connections that it grants",
			openSMTP,
		},
		{
			"twilio", "check TWILIO_BASE_URL; if it refuses our credentials (401), TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN, or TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET",
			openTwilio,
		},
		{
			"meta", "check META_BASE_URL and META_API_VERSION; if it refuses our credentials (401, code 190), META_ACCESS_TOKEN and META_PHONE_NUMBER_ID",
			openMeta,
		},
	}
}

// ProviderOf returns the row of the provider that the settings name.
func ProviderOf(c *config.Config) Provider {
	list := providers()
	return list[slices.IndexFunc(list, func(p Provider) bool { return p.Name == c.Provider.Name })]
}

// Open builds the provider that a worker of these settings would call, for a
// tool that only wants to probe it. It makes no call. The probe is nil where the
// provider has none. The caller closes the provider.
func (p Provider) Open(c *config.Config) (io.Closer, func(context.Context) error, error) {
	made, err := p.open(c)
	return made.provider, made.probe, err
}

// parts are a provider, and what a channel needs of it.
type parts struct {
	provider io.Closer
	probe    func(ctx context.Context) error // nil: there is nothing to probe
	secret   func() string                   // changes when the credentials do; nil: never

	mail  email.Provider // of email; nil where mock answers
	phone phone.Provider // of the other channels; nil where mock answers
	mock  *mock.Mock     // nil: a provider is called
	smtp  *smtp.Provider // nil: another one is called
}

// account is an account at a provider, and when it may be called.
type account struct {
	parts

	route       *route.Route
	credentials *route.CredentialBackoff
}

// newAccount opens the account of the settings, until Close.
func (a *App) newAccount(c *config.Config) (*account, error) {
	opened, err := ProviderOf(c).open(c)
	if err != nil {
		return nil, err
	}
	a.teardown.push("provider", opened.provider.Close)
	made := &account{parts: opened, credentials: route.NewCredentialBackoff(c.Breaker.Open, opened.secret)}
	made.route = route.New(route.Options{
		Concurrency: c.Worker.Concurrency, Reserved: c.Worker.ReservedSlots, LowerShare: c.Worker.LowerLaneShare,
		Rates: route.Rates{
			Provider: c.Provider.RatePerSecond, Sender: c.Provider.SenderRatePerSecond, Group: c.Provider.GroupRatePerSec,
		},
		Breaker: route.Breaker{
			Failures: c.Breaker.Failures, Refusals: c.Breaker.Refusals,
			OpenFor: c.Breaker.Open, CallTimeout: c.Worker.ProviderTimeout,
			Probe: made.probe, Credentials: made.credentials, OnChange: showBreaker(a.health),
		},
		Log: a.log,
	})
	a.watchSMTP(made.smtp, made.route.Bound)
	return made, nil
}

// newProbe makes a probe of a provider's own whose errors are classified.
func newProbe(
	ask func(context.Context) error, classify func(error, time.Duration) error, limit time.Duration,
) func(context.Context) error {
	return func(ctx context.Context) error { return classify(ask(ctx), limit) }
}

// openMock makes the mock provider.
func openMock(c *config.Config) (parts, error) {
	m, err := mock.New(c.Mock.Latency, c.Mock.LedgerFile)
	if err != nil {
		return parts{}, settingError("MOCK_LEDGER_FILE", err)
	}
	return parts{provider: m, mock: m}, nil
}

// settingError is an error about one variable.
func settingError(name string, err error) error {
	return &config.Error{Problems: []string{name + ": " + err.Error()}}
}
