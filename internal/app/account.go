package app

import "messaging-worker/internal/worker/route"

// account is a provider's account, and what decides when it may be called.
type account struct {
	parts

	route       *route.Route
	credentials *route.CredentialBackoff
}

func (a *App) newAccount(p parts) *account {
	c, credentials := a.config, route.NewCredentialBackoff(a.config.Breaker.Open, p.secret)
	r := route.New(route.Options{
		Concurrency: c.Worker.Concurrency,
		Rates: route.Rates{
			Provider: c.Provider.RatePerSecond, Sender: c.Provider.SenderRatePerSecond, Group: c.Provider.GroupRatePerSec,
		},
		Breaker: route.Breaker{
			Failures: c.Breaker.Failures, Refusals: c.Breaker.Refusals,
			OpenFor: c.Breaker.Open, CallTimeout: c.Worker.ProviderTimeout,
			Probe: p.probe, Credentials: credentials, OnChange: showBreaker(a.health),
		},
		Log: a.log,
	})
	a.watchSMTP(p.smtp, r.Bound)
	return &account{p, r, credentials}
}
