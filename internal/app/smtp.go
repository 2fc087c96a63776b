package app

import (
	"crypto/x509"
	"errors"
	"os"

	"messaging-worker/internal/config"
	"messaging-worker/internal/providers/email/smtp"
)

// relayOf makes the SMTP provider of the settings. It does not connect.
func relayOf(c *config.Config) (*smtp.Provider, error) {
	s := &c.SMTP
	o := smtp.Options{
		Host: s.Host, Port: s.Port, TLS: s.TLS, HeloName: s.HeloName,
		Auth: s.Auth, Username: s.Username, Password: s.Password.Get,
		Connections: c.Worker.Concurrency, Timeout: c.Worker.ProviderTimeout, DataTimeout: s.DataTimeout,
	}
	var err error
	if o.RootCAs, err = rootCAs(s.TLSCAFile); err != nil {
		return nil, setting("SMTP_TLS_CA_FILE", err)
	}
	if s.DKIMKeyFile != "" {
		key, err := os.ReadFile(s.DKIMKeyFile)
		if err != nil {
			return nil, setting("SMTP_DKIM_KEY_FILE", err)
		}
		if o.DKIM, err = smtp.NewDKIM(s.DKIMDomain, s.DKIMSelector, key); err != nil {
			return nil, setting("SMTP_DKIM_KEY_FILE", err)
		}
	}
	p, err := smtp.New(o)
	if err != nil {
		return nil, setting("SMTP_HELO_NAME", err) // all else was checked with the settings
	}
	return p, nil
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
