package app

import (
	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// twilioOf makes a client of the settings. It does not connect.
func newTwilio(c *config.Config) *twilio.Client {
	t := &c.Twilio
	return twilio.New(twilio.Options{
		BaseURL: t.BaseURL, AccountSID: t.AccountSID, Username: t.APIKeySID, Password: twilioSecret(c).Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		MessagingServiceSID: t.MessagingServiceSID, StatusCallbackURL: t.StatusCallbackURL, MaxAge: c.Worker.MaxAge,
	})
}

// twilioSecret is the API key's where there is one, else the account's token.
func twilioSecret(c *config.Config) config.Secret {
	if c.Twilio.APIKeySID != "" {
		return c.Twilio.APIKeySecret
	}
	return c.Twilio.AuthToken
}

// metaOf makes a client of the settings. It does not connect.
func newMeta(c *config.Config) *meta.Client {
	m := &c.Meta
	return meta.New(meta.Options{
		BaseURL: m.BaseURL, Version: m.APIVersion, Token: m.AccessToken.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		PhoneNumberID: m.PhoneNumberID, PhoneNumberIDs: m.PhoneNumberIDs, CallbackData: m.CallbackData,
	})
}
