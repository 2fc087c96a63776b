package config

import (
	"net"
	"strconv"
)

// LoadAddress returns the address at which a worker of channel answers HTTP on
// its own host. It reads no other setting, so that a health check never fails
// for a mistake in one that it does not need.
func LoadAddress(lookup Lookup, channel string) (string, error) {
	l := &loader{lookup: lookup, config: &Config{Channel: channel}}
	for _, row := range table(l.config) {
		if row.name == "APP_HOST" || row.name == "APP_PORT" {
			l.read(row)
		}
	}
	if len(l.problems) == 0 && l.config.Port == 0 {
		l.problem("APP_PORT", "is 0, a free port that nobody else knows: give one")
	}
	if len(l.problems) > 0 {
		return "", &Error{Problems: l.problems}
	}
	return net.JoinHostPort(ownHost(l.config.Host), strconv.Itoa(l.config.Port)), nil
}

// ownHost returns an address of this host that a listener on host takes
// connections on.
func ownHost(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
		return "127.0.0.1"
	case ip != nil && ip.IsUnspecified():
		return "::1"
	}
	return host
}
