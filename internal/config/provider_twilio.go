package config

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

func twilioRows(c *Config) []setting {
	t := &c.Twilio
	return []setting{
		{name: "TWILIO_ACCOUNT_SID", meaning: "the account, AC...; required", parse: into(&t.AccountSID, accountSID)},
		{name: "TWILIO_AUTH_TOKEN", meaning: "its token, or an API key instead", secret: &t.AuthToken},
		{name: "TWILIO_API_KEY_SID", meaning: "API key instead of the token, SK...", parse: into(&t.APIKeySID, sid("SK"))},
		{name: "TWILIO_API_KEY_SECRET", meaning: "the API key's secret", secret: &t.APIKeySecret},
		{name: "TWILIO_BASE_URL", fallback: "https://api.twilio.com", meaning: "where the API is", parse: into(&t.BaseURL, baseURL)},
		{name: "TWILIO_MESSAGING_SERVICE_SID", meaning: "messaging service to send with, MG...", parse: into(&t.MessagingServiceSID, sid("MG"))},
		{name: "TWILIO_STATUS_CALLBACK_URL", meaning: "where Twilio reports later statuses", parse: into(&t.StatusCallbackURL, wholeURL)},
		{name: "TWILIO_CONTENT_SIDS", meaning: "name=HX...,name=HX...: content SIDs of WhatsApp templates by name", parse: into(&t.ContentSIDs, valued(sid("HX")))},
	}
}

func (l *loader) checkTwilio() {
	t := &l.config.Twilio
	l.need(t.AccountSID == "", "TWILIO_ACCOUNT_SID", "with a twilio provider")
	if (t.APIKeySID == "") != !t.APIKeySecret.IsSet() {
		l.problem("TWILIO_API_KEY_SID", "and TWILIO_API_KEY_SECRET belong together: give both or none")
	}
	l.need(!t.AuthToken.IsSet() && t.APIKeySID == "", "TWILIO_AUTH_TOKEN",
		"with a twilio provider, or TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET")
}

// accountSID takes the id of a Twilio account, of which the form is published:
// pattern ^AC[0-9a-fA-F]{32}$ of Twilio's OpenAPI description.
func accountSID(s string) (string, error) {
	return like("^AC[0-9a-fA-F]{32}$", "AC and 32 hexadecimal digits")(s)
}

// sid takes another of Twilio's ids by its first two letters, which tell the
// kind: what is behind them is Twilio's to judge.
func sid(kind string) func(string) (string, error) {
	return like("^"+kind+"[0-9a-zA-Z]+$", kind+" and letters or digits behind it")
}
