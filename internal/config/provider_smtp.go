package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

func smtpRows(c *Config) []setting {
	s := &c.SMTP
	return []setting{
		{name: "SMTP_HOST", meaning: "the relay, a host name or IP address; required", parse: into(&s.Host, host)},
		{name: "SMTP_PORT", fallback: "587", meaning: "its port", parse: into(&s.Port, whole(1, 65535))},
		{name: "SMTP_USERNAME", meaning: "required unless SMTP_AUTH=none", parse: into(&s.Username, line)},
		{name: "SMTP_PASSWORD", meaning: "required unless SMTP_AUTH=none", secret: &s.Password},
		{name: "SMTP_AUTH", fallback: "auto", meaning: "auto, plain, login, cram-md5, xoauth2 or none", parse: into(&s.Auth, oneOf("auto", "plain", "login", "cram-md5", "xoauth2", "none"))},
		{name: "SMTP_TLS", fallback: "starttls", meaning: "starttls (required), tls (implicit) or none", parse: into(&s.TLS, oneOf("starttls", "tls", "none"))},
		{name: "SMTP_TLS_CA_FILE", meaning: "PEM file of an extra CA", parse: into(&s.TLSCAFile, certificates)},
		{name: "SMTP_HELO_NAME", meaning: "name in EHLO: a fully qualified domain, or an address literal such as [192.0.2.1] (default: the host's name where it has a dot, else the address that the connection comes from)", parse: into(&s.HeloName, heloName)},
		{name: "SMTP_DKIM_DOMAIN", meaning: "mail is signed when all three SMTP_DKIM settings are given", parse: into(&s.DKIMDomain, mailDomain)},
		{name: "SMTP_DKIM_SELECTOR", meaning: "selector of the DKIM key", parse: into(&s.DKIMSelector, selector)},
		{name: "SMTP_DKIM_KEY_FILE", meaning: "PEM file of the DKIM key", parse: into(&s.DKIMKeyFile, file)},
		{name: "SMTP_MESSAGES_PER_CONNECTION", fallback: "100", meaning: "messages after which a connection is quit; 10 for Exim as it is shipped, which would queue what is beyond", parse: into(&s.MessagesPerConnection, count)},
		{name: "SMTP_DATA_TIMEOUT_SECONDS", fallback: "0", meaning: "wait for the reply after the last line; 0 means PROVIDER_TIMEOUT_SECONDS", parse: into(&s.DataTimeout, seconds(0, tenDays))},
	}
}

// longestSMTP is the time of the envelope, and of the reply to the last line.
func longestSMTP(c *Config) time.Duration {
	return c.Worker.ProviderTimeout + cmp.Or(c.SMTP.DataTimeout, c.Worker.ProviderTimeout)
}

func (l *loader) checkSMTP() {
	s := &l.config.SMTP
	l.need(s.Host == "", "SMTP_HOST", "with EMAIL_PROVIDER=smtp")
	if s.Auth != "none" {
		l.need(s.Username == "", "SMTP_USERNAME", "unless SMTP_AUTH=none")
		l.need(!s.Password.IsSet(), "SMTP_PASSWORD", "unless SMTP_AUTH=none")
	}
	missing := []bool{s.DKIMDomain == "", s.DKIMSelector == "", s.DKIMKeyFile == ""}
	if slices.Contains(missing, true) && slices.Contains(missing, false) {
		l.problem("SMTP_DKIM_DOMAIN", "SMTP_DKIM_SELECTOR and SMTP_DKIM_KEY_FILE belong together: give all or none")
	}
}

// heloName takes what RFC 5321, 4.1.1.1, allows in EHLO.
func heloName(s string) (string, error) {
	if !util.IsHeloName(s) {
		return "", fmt.Errorf("%q is neither a domain (letters, digits and hyphens between dots) nor an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", s)
	}
	return s, nil
}

// mailDomain takes a domain that keys are looked up in.
func mailDomain(s string) (string, error) {
	bare := strings.TrimSuffix(s, ".")
	if _, err := netip.ParseAddr(s); err == nil || !isHostName(s) || !strings.Contains(s, ".") {
		return bare, errors.New("want a domain in ASCII, as example.com")
	}
	return bare, nil
}

// selector takes what stands in front of ._domainkey (RFC 6376, 3.1).
func selector(s string) (string, error) {
	if strings.Contains(s, "_domainkey") || !isHostName(s+".x") {
		return s, errors.New("want the selector alone, what stands in front of ._domainkey")
	}
	return s, nil
}
