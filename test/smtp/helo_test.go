package smtp_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"messaging-worker/internal/util"
)

// Without a name in the settings, what goes out in EHLO is what servers with
// the usual restrictions take: a name with a dot, or the connection's address.
func TestDefaultHeloName(t *testing.T) {
	t.Parallel()
	said := make(chan string, 1)
	srv := serve(t, func(_ int, c net.Conn) {
		_, _ = io.WriteString(c, "220 relay\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		said <- strings.TrimSpace(line)
		_, _ = io.WriteString(c, "250 relay\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	o := options("")
	o.Port, o.HeloName = srv.port(), ""
	p := newProvider(t, o)
	if err := p.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	name, ok := strings.CutPrefix(<-said, "EHLO ")
	if !ok || !util.IsHeloName(name) || !strings.Contains(name, ".") || strings.HasPrefix(name, "[") && name != "[127.0.0.1]" {
		t.Errorf("EHLO %q", name)
	}
}
