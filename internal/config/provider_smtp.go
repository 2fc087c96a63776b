package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"messaging-worker/internal/util"
)

// SMTP is the SMTP server that mail is sent through.
type SMTP struct {
	Host                                  string
	Port                                  int
	Username                              string
	Password                              Secret
	Auth, TLS, TLSCAFile, HeloName        string
	DKIMDomain, DKIMSelector, DKIMKeyFile string
	DataTimeout                           time.Duration // 0 means Worker.ProviderTimeout
	MessagesPerConnection                 int
}

func smtpProvider() provider {
	return provider{
		name: "smtp", title: "SMTP", channels: []string{"email"}, rows: smtpRows,
		check: func(l *loader) { l.checkSMTP(&l.config.SMTP) },
		longestCall: func(c *Config) time.Duration { // the envelope, then the reply to the last line
			if c.SMTP.DataTimeout == 0 {
				return 2 * c.Worker.ProviderTimeout
			}
			return c.Worker.ProviderTimeout + c.SMTP.DataTimeout
		},
	}
}

func smtpRows(c *Config) []setting {
	s := &c.SMTP
	return []setting{
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
	}
}

func (l *loader) checkSMTP(s *SMTP) {
	l.need(s.Host == "", "SMTP_HOST", "with EMAIL_PROVIDER=smtp")
	if s.Auth != "none" {
		l.need(s.Username == "", "SMTP_USERNAME", "unless SMTP_AUTH=none")
		l.need(!s.Password.IsSet(), "SMTP_PASSWORD", "unless SMTP_AUTH=none")
	}
	given := 0
	for _, v := range []string{s.DKIMDomain, s.DKIMSelector, s.DKIMKeyFile} {
		if v != "" {
			given++
		}
	}
	if given > 0 && given < 3 {
		l.problem("SMTP_DKIM_DOMAIN", "SMTP_DKIM_SELECTOR and SMTP_DKIM_KEY_FILE belong together: give all or none")
	}
}

// heloName takes what RFC 5321, 4.1.1.1, allows in EHLO.
func heloName(dst *string) parser {
	return func(s string) error {
		if !util.IsHeloName(s) {
			return fmt.Errorf("%q is neither a domain (letters, digits and hyphens between dots) nor an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", s)
		}
		*dst = s
		return nil
	}
}

// mailDomain takes a domain that keys are looked up in.
func mailDomain(dst *string) parser {
	return func(s string) error {
		*dst = strings.TrimSuffix(s, ".")
		if _, err := netip.ParseAddr(s); err == nil || !isHostName(s) || !strings.Contains(s, ".") {
			return errors.New("want a domain in ASCII, as example.com")
		}
		return nil
	}
}

// selector takes what stands in front of ._domainkey (RFC 6376, 3.1).
func selector(dst *string) parser {
	return func(s string) error {
		*dst = s
		if strings.Contains(s, "_domainkey") || !isHostName(s+".x") {
			return errors.New("want the selector alone, what stands in front of ._domainkey")
		}
		return nil
	}
}
