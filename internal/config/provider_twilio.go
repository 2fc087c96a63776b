package config

import "regexp"

// Twilio is the account for SMS and WhatsApp.
type Twilio struct {
	AccountSID          string
	AuthToken           Secret
	APIKeySID           string
	APIKeySecret        Secret
	BaseURL             string
	MessagingServiceSID string
	StatusCallbackURL   string
	ContentSIDs         map[string]string
}

func twilioProvider() provider {
	return provider{
		name: "twilio", title: "Twilio", channels: []string{"sms", "whatsapp"}, rows: twilioRows,
		check: func(l *loader) { l.checkTwilio(&l.config.Twilio) },
	}
}

func twilioRows(c *Config) []setting {
	t := &c.Twilio
	return []setting{
		{name: "TWILIO_ACCOUNT_SID", meaning: "the account, AC...; required", parse: accountSID(&t.AccountSID)},
		{name: "TWILIO_AUTH_TOKEN", meaning: "its token, or an API key instead", secret: &t.AuthToken},
		{name: "TWILIO_API_KEY_SID", meaning: "API key instead of the token, SK...", parse: sid(&t.APIKeySID, "SK")},
		{name: "TWILIO_API_KEY_SECRET", meaning: "the API key's secret", secret: &t.APIKeySecret},
		{name: "TWILIO_BASE_URL", fallback: "https://api.twilio.com", meaning: "where the API is", parse: baseURL(&t.BaseURL)},
		{name: "TWILIO_MESSAGING_SERVICE_SID", meaning: "messaging service to send with, MG...", parse: sid(&t.MessagingServiceSID, "MG")},
		{name: "TWILIO_STATUS_CALLBACK_URL", meaning: "where Twilio reports later statuses", parse: wholeURL(&t.StatusCallbackURL)},
		{name: "TWILIO_CONTENT_SIDS", meaning: "name=HX...,name=HX...: content SIDs of WhatsApp templates by name", parse: sids(&t.ContentSIDs)},
	}
}

func (l *loader) checkTwilio(t *Twilio) {
	l.need(t.AccountSID == "", "TWILIO_ACCOUNT_SID", "with a twilio provider")
	if (t.APIKeySID == "") != !t.APIKeySecret.IsSet() {
		l.problem("TWILIO_API_KEY_SID", "and TWILIO_API_KEY_SECRET belong together: give both or none")
	}
	l.need(!t.AuthToken.IsSet() && t.APIKeySID == "", "TWILIO_AUTH_TOKEN",
		"with a twilio provider, or TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET")
}

// accountSID takes the id of a Twilio account, of which the form is published:
// pattern ^AC[0-9a-fA-F]{32}$ of Twilio's OpenAPI description.
func accountSID(dst *string) parser {
	return form(dst, regexp.MustCompile("^AC[0-9a-fA-F]{32}$"), "AC and 32 hexadecimal digits")
}

// sid takes another of Twilio's ids by its first two letters, which tell the
// kind: what is behind them is Twilio's to judge.
func sid(dst *string, kind string) parser {
	return form(dst, regexp.MustCompile("^"+kind+"[0-9a-zA-Z]+$"), kind+" and letters or digits behind it")
}

// sids takes content SIDs by name.
func sids(dst *map[string]string) parser {
	return valued(dst, func(s string) error { return sid(new(string), "HX")(s) })
}
