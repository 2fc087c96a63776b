package config

import "time"

// Mock is the mock provider of all channels.
type Mock struct {
	Latency    time.Duration
	LedgerFile string
}

func mockProvider() provider {
	return provider{
		name: "mock", channels: []string{"email", "sms", "whatsapp"},
		rows: func(c *Config) []setting {
			return []setting{
				{name: "MOCK_LATENCY_SECONDS", fallback: "0", meaning: "time that each mock call takes", parse: duration(&c.Mock.Latency)},
				{name: "MOCK_LEDGER_FILE", meaning: "the mock appends a line here for each accepted recipient", parse: text(&c.Mock.LedgerFile)},
			}
		},
	}
}
