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
	t, secret := &c.Twilio, twilioSecret(c)
	client := twilio.New(twilio.Options{
		BaseURL: t.BaseURL, AccountSID: t.AccountSID, Username: t.APIKeySID, Password: secret.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		MessagingServiceSID: t.MessagingServiceSID, StatusCallbackURL: t.StatusCallbackURL,
		WhatsApp: c.Channel == string(models.WhatsApp), ContentSIDs: t.ContentSIDs,
	})
	return parts{
		provider: client, phone: client, secret: secret.Version,
		probe: newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
	}, nil
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
	m := &c.Meta
	client := meta.New(meta.Options{
		BaseURL: m.BaseURL, Version: m.APIVersion, Token: m.AccessToken.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		PhoneNumberID: m.PhoneNumberID, PhoneNumberIDs: m.PhoneNumberIDs, CallbackData: m.CallbackData,
	})
	return parts{
		provider: client, phone: client, secret: m.AccessToken.Version,
		probe: newProbe(client.Probe, httpapi.ProbeError, c.Worker.ProviderTimeout),
	}, nil
}
