package app

import (
	"messaging-worker/internal/adapters/httpapi"
	"messaging-worker/internal/config"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// openTwilio makes a Twilio account's provider for the channel.
func openTwilio(c *config.Config) (parts, error) {
	client := newTwilio(c)
	return parts{
		provider: client, phone: client, secret: twilioSecret(c).Version,
		probe: newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
	}, nil
}

// newTwilio makes a client of the settings. It does not connect.
func newTwilio(c *config.Config) *twilio.Client {
	t := &c.Twilio
	return twilio.New(twilio.Options{
		BaseURL: t.BaseURL, AccountSID: t.AccountSID, Username: t.APIKeySID, Password: twilioSecret(c).Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		MessagingServiceSID: t.MessagingServiceSID, StatusCallbackURL: t.StatusCallbackURL, MaxAge: c.Worker.MaxAge,
		WhatsApp: c.Channel == string(models.WhatsApp), ContentSIDs: t.ContentSIDs,
	})
}

// twilioSecret is the API key's where there is one, else the account's token.
func twilioSecret(c *config.Config) config.Secret {
	if c.Twilio.APIKeySID != "" {
		return c.Twilio.APIKeySecret
	}
	return c.Twilio.AuthToken
}

// openMeta makes the provider of a business account at Meta.
func openMeta(c *config.Config) (parts, error) {
	client := newMeta(c)
	return parts{
		provider: client, phone: client, secret: c.Meta.AccessToken.Version,
		probe: newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
	}, nil
}

// newMeta makes a client of the settings. It does not connect.
func newMeta(c *config.Config) *meta.Client {
	m := &c.Meta
	return meta.New(meta.Options{
		BaseURL: m.BaseURL, Version: m.APIVersion, Token: m.AccessToken.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		PhoneNumberID: m.PhoneNumberID, PhoneNumberIDs: m.PhoneNumberIDs, CallbackData: m.CallbackData,
	})
}
