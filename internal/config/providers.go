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
	return []provider{mockProvider(), smtpProvider(), twilioProvider(), metaProvider()}
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

// providerSections returns the choice of each channel's provider, and then the
// settings of each provider.
func providerSections(c *Config) []section {
	choice := section{title: "Providers"}
	for _, channel := range channelNames() {
		var words []string
		for _, p := range providers() {
			if slices.Contains(p.channels, strings.ToLower(channel)) {
				words = append(words, p.name)
			}
		}
		dst := new(string)
		if strings.EqualFold(channel, c.Channel) {
			dst = &c.Provider.Name
		}
		last := len(words) - 1
		choice.rows = append(choice.rows, setting{
			name: channel + "_PROVIDER", fallback: "mock", fixed: true,
			meaning: strings.Join(words[:last], ", ") + " or " + words[last], parse: oneOf(dst, words...),
		})
	}
	list := []section{choice}
	for _, p := range providers() {
		if p.title == "" {
			list[0].rows = append(list[0].rows, p.rows(c)...)
			continue
		}
		var chosen []string
		for _, channel := range p.channels {
			chosen = append(chosen, strings.ToUpper(channel)+"_PROVIDER="+p.name)
		}
		list = append(list, section{p.title + " (" + strings.Join(chosen, ", ") + ")", p.rows(c)})
	}
	return list
}
