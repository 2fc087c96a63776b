package config

import (
	"slices"
	"strings"
	"time"
)

// provider is what is to be set for one provider.
type provider struct {
	name     string
	title    string   // of its section; empty: its rows stand with the choice of providers
	channels []string // that may choose it
	rows     func(c *Config) []setting

	// check reports what is missing where the provider is chosen; nil: nothing
	// can be.
	check func(l *loader)

	// longestCall is how long one call may take at most; nil:
	// PROVIDER_TIMEOUT_SECONDS.
	longestCall func(c *Config) time.Duration
}

// providers is the table of providers. A new one takes its row here.
func providers() []provider {
	return []provider{
		{name: "mock", channels: []string{"email", "sms", "whatsapp"}, rows: mockRows},
		{name: "smtp", title: "SMTP", channels: []string{"email"}, rows: smtpRows, check: (*loader).checkSMTP, longestCall: longestSMTP},
		{name: "twilio", title: "Twilio", channels: []string{"sms", "whatsapp"}, rows: twilioRows, check: (*loader).checkTwilio},
		{name: "meta", title: "Meta", channels: []string{"whatsapp"}, rows: metaRows, check: (*loader).checkMeta},
	}
}

// Mock is the mock provider of all channels.
type Mock struct {
	Latency    time.Duration
	LedgerFile string
}

func mockRows(c *Config) []setting {
	return []setting{
		{name: "MOCK_LATENCY_SECONDS", fallback: "0", meaning: "time that each mock call takes", parse: into(&c.Mock.Latency, duration)},
		{name: "MOCK_LEDGER_FILE", meaning: "the mock appends a line here for each accepted recipient", parse: into(&c.Mock.LedgerFile, text)},
	}
}

// provider returns the row of the provider that was chosen. It is empty where
// the settings name none.
func (c *Config) provider() provider {
	list := providers()
	if i := slices.IndexFunc(list, func(p provider) bool { return p.name == c.Provider.Name }); i >= 0 {
		return list[i]
	}
	return provider{}
}

// ProviderNames returns the providers that a channel may have.
func ProviderNames(channel string) []string {
	var names []string
	for _, p := range providers() {
		if slices.Contains(p.channels, channel) {
			names = append(names, p.name)
		}
	}
	return names
}

// providerRows returns the choice of each channel's provider, and then the
// settings of each provider.
func providerRows(c *Config) []setting {
	var rows []setting
	for _, channel := range channelNames() {
		words := ProviderNames(strings.ToLower(channel))
		dst := new(string)
		if strings.EqualFold(channel, c.Channel) {
			dst = &c.Provider.Name
		}
		last := len(words) - 1
		rows = append(rows, setting{
			name: channel + "_PROVIDER", fallback: "mock", fixed: true,
			meaning: strings.Join(words[:last], ", ") + " or " + words[last], parse: into(dst, oneOf(words...)),
		})
	}
	rows = under("Providers", rows)
	for _, p := range providers() {
		var chosen []string
		for _, channel := range p.channels {
			chosen = append(chosen, strings.ToUpper(channel)+"_PROVIDER="+p.name)
		}
		title := p.title + " (" + strings.Join(chosen, ", ") + ")"
		if p.title == "" {
			title = "Providers"
		}
		rows = append(rows, under(title, p.rows(c))...)
	}
	return rows
}
