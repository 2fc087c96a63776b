package msgctl_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// mailServer plays one. It refuses recipients whose address begins with
// gone for good and those that begin with later for now, until it is healed.
type mailServer struct {
	listener net.Listener
	healed   atomic.Bool
}

func startMailServer(t *testing.T) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &mailServer{listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return r
}

// settings point a worker at it.
func (r *mailServer) settings() map[string]string {
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	return map[string]string{
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_TLS": "none", "SMTP_AUTH": "none",
		"MAX_ATTEMPTS": "2", "WORKER_CONCURRENCY": "20",
	}
}

func (r *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 1<<20)
	say := func(reply string) { fmt.Fprintf(conn, "%s\r\n", reply) }
	say("220 relay")
	accepted := 0
	for in.Scan() {
		switch line := in.Text(); {
		case strings.HasPrefix(line, "EHLO"):
			say("250-relay\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
		case strings.HasPrefix(line, "MAIL"):
			accepted = 0
			say("250 2.1.0 ok")
		case strings.HasPrefix(line, "RCPT"):
			reply := r.recipient(strings.TrimLeft(line[len("RCPT TO:"):], `<"`))
			if reply[0] == '2' {
				accepted++
			}
			say(reply)
		case line == "DATA" && accepted == 0:
			say("554 5.5.1 no valid recipients")
		case line == "DATA":
			say("354 go on")
			for in.Scan() && in.Text() != "." {
				continue
			}
			say("250 2.0.0 ok")
		case line == "QUIT":
			say("221 2.0.0 bye")
			return
		default:
			say("250 2.0.0 ok")
		}
	}
}

func (r *mailServer) recipient(address string) string {
	switch {
	case r.healed.Load():
	case strings.HasPrefix(address, "gone"):
		return "550 5.1.1 no such user"
	case strings.HasPrefix(address, "later"):
		return "451 4.2.1 mailbox busy"
	}
	return "250 2.1.5 ok"
}
