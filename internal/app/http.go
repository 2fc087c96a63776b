package app

import (
	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/meta"
	"messaging-worker/internal/providers/twilio"
)

// twilioOf makes a client of the settings. It does not connect.
func twilioOf(c *config.Config) *twilio.Client {
	t := &c.Twilio
	o := twilio.Options{
		BaseURL: t.BaseURL, AccountSID: t.AccountSID, Password: t.AuthToken.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		MessagingServiceSID: t.MessagingServiceSID, StatusCallbackURL: t.StatusCallbackURL, MaxAge: c.Worker.MaxAge,
	}
	if t.APIKeySID != "" {
		o.Username, o.Password = t.APIKeySID, t.APIKeySecret.Get
	}
	return twilio.New(o)
}

// metaOf makes a client of the settings. It does not connect.
func metaOf(c *config.Config) *meta.Client {
	m := &c.Meta
	return meta.New(meta.Options{
		BaseURL: m.BaseURL, Version: m.APIVersion, Token: m.AccessToken.Get, Concurrency: c.Worker.Concurrency, UserAgent: UserAgent(),
		PhoneNumberID: m.PhoneNumberID, PhoneNumberIDs: m.PhoneNumberIDs, CallbackData: m.CallbackData,
	})
}
