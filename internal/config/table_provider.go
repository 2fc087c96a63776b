package config

func providerSection(c *Config) section {
	name := func(channel string, words ...string) parser {
		if c.Channel == channel {
			return oneOf(&c.Provider.Name, words...)
		}
		return oneOf(new(string), words...)
	}
	return section{"Providers", []setting{
		{name: "EMAIL_PROVIDER", fallback: "mock", meaning: "mock or smtp", parse: name("email", "mock", "smtp"), fixed: true},
		{name: "SMS_PROVIDER", fallback: "mock", meaning: "mock or twilio", parse: name("sms", "mock", "twilio"), fixed: true},
		{name: "WHATSAPP_PROVIDER", fallback: "mock", meaning: "mock, twilio or meta", parse: name("whatsapp", "mock", "twilio", "meta"), fixed: true},
		{name: "MOCK_LATENCY_SECONDS", fallback: "0", meaning: "time that each mock call takes", parse: duration(&c.Mock.Latency)},
		{name: "MOCK_LEDGER_FILE", meaning: "the mock appends a line here for each accepted recipient", parse: text(&c.Mock.LedgerFile)},
	}}
}

func smtpSection(c *Config) section {
	s := &c.SMTP
	return section{"SMTP (EMAIL_PROVIDER=smtp)", []setting{
		{name: "SMTP_HOST", meaning: "the relay, a host name or IP address; required", parse: host(&s.Host)},
		{name: "SMTP_PORT", fallback: "587", meaning: "its port", parse: whole(&s.Port, 1, 65535)},
		{name: "SMTP_USERNAME", meaning: "required unless SMTP_AUTH=none", parse: line(&s.Username)},
		{name: "SMTP_PASSWORD", meaning: "required unless SMTP_AUTH=none", secret: &s.Password},
		{name: "SMTP_AUTH", fallback: "auto", meaning: "auto, plain, login, cram-md5, xoauth2 or none", parse: oneOf(&s.Auth, "auto", "plain", "login", "cram-md5", "xoauth2", "none")},
		{name: "SMTP_TLS", fallback: "starttls", meaning: "starttls (required), tls (implicit) or none", parse: oneOf(&s.TLS, "starttls", "tls", "none")},
		{name: "SMTP_TLS_CA_FILE", meaning: "PEM file of an extra CA", parse: certificates(&s.TLSCAFile)},
		{name: "SMTP_HELO_NAME", meaning: "name in EHLO: a fully qualified domain, or an address literal such as [192.0.2.1] (default: the host's name where it has a dot, else the address that the connection comes from)", parse: heloName(&s.HeloName)},
		{name: "SMTP_DKIM_DOMAIN", meaning: "mail is signed when all three SMTP_DKIM settings are given", parse: mailDomain(&s.DKIMDomain)},
		{name: "SMTP_DKIM_SELECTOR", meaning: "selector of the DKIM key", parse: selector(&s.DKIMSelector)},
		{name: "SMTP_DKIM_KEY_FILE", meaning: "PEM file of the DKIM key", parse: file(&s.DKIMKeyFile)},
		{name: "SMTP_MESSAGES_PER_CONNECTION", fallback: "100", meaning: "messages after which a connection is quit; 10 for Exim as it is shipped, which would queue what is beyond", parse: count(&s.MessagesPerConnection)},
		{name: "SMTP_DATA_TIMEOUT_SECONDS", fallback: "0", meaning: "wait for the reply after the last line; 0 means PROVIDER_TIMEOUT_SECONDS", parse: seconds(&s.DataTimeout, 0, tenDays)},
	}}
}

func twilioSection(c *Config) section {
	t := &c.Twilio
	return section{"Twilio (SMS_PROVIDER=twilio, WHATSAPP_PROVIDER=twilio)", []setting{
		{name: "TWILIO_ACCOUNT_SID", meaning: "the account, AC...; required", parse: accountSID(&t.AccountSID)},
		{name: "TWILIO_AUTH_TOKEN", meaning: "its token, or an API key instead", secret: &t.AuthToken},
		{name: "TWILIO_API_KEY_SID", meaning: "API key instead of the token, SK...", parse: sid(&t.APIKeySID, "SK")},
		{name: "TWILIO_API_KEY_SECRET", meaning: "the API key's secret", secret: &t.APIKeySecret},
		{name: "TWILIO_BASE_URL", fallback: "https://api.twilio.com", meaning: "where the API is", parse: baseURL(&t.BaseURL)},
		{name: "TWILIO_MESSAGING_SERVICE_SID", meaning: "messaging service to send with, MG...", parse: sid(&t.MessagingServiceSID, "MG")},
		{name: "TWILIO_STATUS_CALLBACK_URL", meaning: "where Twilio reports later statuses", parse: wholeURL(&t.StatusCallbackURL)},
		{name: "TWILIO_CONTENT_SIDS", meaning: "name=HX...,name=HX...: content SIDs of WhatsApp templates by name", parse: sids(&t.ContentSIDs)},
	}}
}

func metaSection(c *Config) section {
	m := &c.Meta
	return section{"Meta (WHATSAPP_PROVIDER=meta)", []setting{
		{name: "META_PHONE_NUMBER_ID", meaning: "phone number id to send from; required", parse: metaID(&m.PhoneNumberID)},
		{name: "META_ACCESS_TOKEN", meaning: "access token; required", secret: &m.AccessToken},
		{name: "META_PHONE_NUMBER_IDS", meaning: "+1555...=ID,...: phone number ids of further senders", parse: numbers(&m.PhoneNumberIDs)},
		{name: "META_CALLBACK_DATA", fallback: "false", meaning: "send the message id as biz_opaque_callback_data", parse: boolean(&m.CallbackData)},
		{name: "META_BASE_URL", fallback: "https://graph.facebook.com", meaning: "where the API is", parse: baseURL(&m.BaseURL)},
		{name: "META_API_VERSION", fallback: "v23.0", meaning: "version of the API", parse: metaVersion(&m.APIVersion)},
	}}
}
