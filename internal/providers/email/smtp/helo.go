package smtp

import (
	"net"
	"strings"

	"messaging-worker/internal/util"
)

// hostName returns the host's name where servers take it in EHLO, else "":
// many want a fully qualified name (Postfix reject_non_fqdn_helo_hostname), and
// a name that is no domain is none for SMTP either.
func hostName(name string, err error) string {
	name = strings.TrimSuffix(name, ".")
	if err != nil || !strings.Contains(name, ".") || !util.IsHeloName(name) {
		return ""
	}
	return name
}

// heloName is the name in EHLO and HELO on a connection from local. Without a
// fully qualified name it is the address literal (RFC 5321, 4.1.4).
func (p *Provider) heloName(local net.Addr) string {
	if p.opts.HeloName != "" {
		return p.opts.HeloName
	}
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return "localhost"
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}
