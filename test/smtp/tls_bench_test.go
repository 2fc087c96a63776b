package smtp_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/providers/email/smtp"
)

// sinkVariable has the test binary be a server for a benchmark, which is to
// measure the client alone. Its value is a smtp.TLS constant.
const sinkVariable = "SMTP_BENCH_SINK"

// TestBenchmarkSink is that server. It writes its port and its certificate,
// and ends with its input.
func TestBenchmarkSink(t *testing.T) {
	mode := os.Getenv(sinkVariable)
	if mode == "" {
		t.Skip("not asked to be a server")
	}
	config, _ := certificate(t)
	s := &sink{}
	srv := serve(t, func(n int, c net.Conn) {
		if mode == smtp.TLSImplicit {
			c = tls.Server(c, config)
		}
		s.serve(n, c)
	})
	fmt.Println(srv.port(), base64.StdEncoding.EncodeToString(config.Certificates[0].Certificate[0]))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// sinkProcess runs the server until the benchmark ends, and returns a provider
// on it.
func sinkProcess(b *testing.B, mode string, connections int) *smtp.Provider {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBenchmarkSink$")
	cmd.Env = append(os.Environ(), sinkVariable+"="+mode)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatalf("the server ended at its start: %v", err)
	}
	o := options("tls=" + mode)
	o.Connections, o.RootCAs = connections, x509.NewCertPool()
	port, identity, _ := strings.Cut(strings.TrimSpace(line), " ")
	if _, err := fmt.Sscan(port, &o.Port); err != nil {
		b.Fatal(err)
	}
	der, err := base64.StdEncoding.DecodeString(identity)
	if err != nil {
		b.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	o.RootCAs.AddCert(root)
	p := newProvider(b, o)
	b.Cleanup(func() {
		p.Close()
		in.Close()
		_ = cmd.Wait()
	})
	return p
}

// spent is what messages took: on the clock, and of this process's processor.
type spent struct{ clock, processor time.Duration }

func (s *spent) on(b *testing.B, run func()) {
	b.Helper()
	before, start := processor(b), time.Now()
	run()
	s.clock += time.Since(start)
	s.processor += processor(b) - before
}

func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTLS sends on kept connections, in clear text and under TLS by
// turns, so that both see the same machine. Each server is a process of its
// own. Run it alone:
//
//	go test -run '^$' -bench TLS -benchtime 40000x ./test/smtp
func BenchmarkTLS(b *testing.B) {
	const workers, turn = 10, 1000
	plain, secured := sinkProcess(b, smtp.TLSNone, workers), sinkProcess(b, smtp.TLSImplicit, workers)
	sendAll(b, plain, workers, workers) // connections are made
	sendAll(b, secured, workers, workers)
	m := mailOf(newRequest(""))
	m.Body = strings.Repeat("Lines of sixty-four characters, as people and programs write it.\n", 16) // 1 KiB
	var clear, hidden spent
	b.ResetTimer()
	for left := b.N; left > 0; left -= turn {
		n := min(left, turn)
		clear.on(b, func() { sendCopies(b, plain, m, n, workers) })
		hidden.on(b, func() { sendCopies(b, secured, m, n, workers) })
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(n/clear.clock.Seconds(), "plain-msg/s")
	b.ReportMetric(n/hidden.clock.Seconds(), "tls-msg/s")
	b.ReportMetric(clear.clock.Seconds()/hidden.clock.Seconds(), "tls/plain")
	b.ReportMetric(float64(clear.processor.Microseconds())/n, "plain-cpu-µs/msg")
	b.ReportMetric(float64(hidden.processor.Microseconds())/n, "tls-cpu-µs/msg")
}
