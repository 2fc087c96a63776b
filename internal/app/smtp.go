package app

import (
	"crypto/x509"
	"errors"
	"os"
	"sync"

	"messaging-worker/internal/adapters/email"
	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/email/smtp"
)

// openSMTP makes the provider of an SMTP server.
func openSMTP(c *config.Config) (parts, error) {
	s := &c.SMTP
	o := smtp.Options{
		Host: s.Host, Port: s.Port, TLS: s.TLS, HeloName: s.HeloName,
		Auth: s.Auth, Username: s.Username, Password: s.Password.Get,
		Connections: c.Worker.Concurrency, Messages: s.MessagesPerConnection, Timeout: c.Worker.ProviderTimeout, DataTimeout: s.DataTimeout,
	}
	var err error
	if o.RootCAs, err = rootCAs(s.TLSCAFile); err != nil {
		return parts{}, settingError("SMTP_TLS_CA_FILE", err)
	}
	if s.DKIMKeyFile != "" {
		key, err := os.ReadFile(s.DKIMKeyFile)
		if err != nil {
			return parts{}, settingError("SMTP_DKIM_KEY_FILE", err)
		}
		if o.DKIM, err = smtp.NewDKIM(s.DKIMDomain, s.DKIMSelector, key); err != nil {
			return parts{}, settingError("SMTP_DKIM_KEY_FILE", err)
		}
	}
	server, err := smtp.New(o)
	if err != nil {
		return parts{}, settingError("SMTP_HELO_NAME", err) // all else was checked with the settings
	}
	return parts{
		provider: server, mail: server, smtp: server, secret: s.Password.Version,
		probe: newProbe(server.Probe, email.ProbeError, c.Worker.ProviderTimeout),
	}, nil
}

// watchSMTP has no more calls start than connections that the server grants, and
// logs what an operator should know of it. Without a provider it does nothing.
func (a *App) watchSMTP(p *smtp.Provider, bound func(connections int)) {
	if p == nil {
		return
	}
	var once sync.Once
	p.OnLimit(func(connections int) {
		bound(connections)
		if connections < a.config.Worker.Concurrency {
			once.Do(func() { // from then on a metric tells
				a.log.Warn().Int("connections", connections).Int("concurrency", a.config.Worker.Concurrency).
					Msg("the server grants fewer connections than WORKER_CONCURRENCY: calls go by that; said once, messaging_smtp_connections_limit tells")
			})
		}
	})
	p.OnQueuedForLater(sync.OnceFunc(func() {
		a.log.Warn().Int("messages_per_connection", a.config.SMTP.MessagesPerConnection).
			Msg("the server says that it queues messages for later: if it does so with many on one connection, lower SMTP_MESSAGES_PER_CONNECTION; said once")
	}))
}

// rootCAs returns the system's certificates and those in the file; nil, which
// means the system's, where there is no file.
func rootCAs(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // see above
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil { // a host without any
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("no certificate in PEM")
	}
	return pool, nil
}
