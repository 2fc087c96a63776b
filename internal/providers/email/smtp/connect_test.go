package smtp

import (
	"errors"
	"net"
	"testing"

	"messaging-worker/internal/util"
)

// Where nothing is set, a connection greets with a name that servers take: a
// fully qualified one, or else the address that it comes from.
func TestHeloName(t *testing.T) {
	t.Parallel()
	v4, v6 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7)}, &net.TCPAddr{IP: net.ParseIP("2001:db8::7")}
	tests := []struct {
		host  string
		err   error
		local net.Addr
		want  string
	}{
		{"mail.example.com", nil, v4, "mail.example.com"},
		{"mail.example.com.", nil, v4, "mail.example.com"},
		{"f3a2b1c0d9e8", nil, v4, "[192.0.2.7]"},
		{"localhost", nil, v4, "[192.0.2.7]"},
		{"my_host.example.com", nil, v4, "[192.0.2.7]"},
		{"10.1.2.3", nil, v4, "[192.0.2.7]"},
		{"münchen.example", nil, v4, "[192.0.2.7]"},
		{"", nil, v4, "[192.0.2.7]"},
		{"mail.example.com", errors.New("no name"), v4, "[192.0.2.7]"},
		{"vm", nil, v6, "[IPv6:2001:db8::7]"},
		{"vm", nil, &net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "[IPv6:fe80::1]"},
		{"vm", nil, &net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.7")}, "[192.0.2.7]"},
	}
	for _, tt := range tests {
		p := &Provider{opts: Options{HeloName: hostName(tt.host, tt.err)}}
		got := p.heloName(tt.local)
		if got != tt.want || !util.IsHeloName(got) {
			t.Errorf("host %q at %v says %q, want %q", tt.host, tt.local, got, tt.want)
		}
	}
}
