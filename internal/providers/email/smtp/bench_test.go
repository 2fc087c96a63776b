package smtp

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"messaging-worker/internal/providers/email"
)

// BenchmarkSend sends messages of 1 KiB to Postfix's smtp-sink, and has
// Postfix's own smtp-source -d do the same. Compare within one run:
//
//	go test -run '^$' -bench Send -benchtime 20000x ./internal/providers/email/smtp
func BenchmarkSend(b *testing.B) {
	for _, sessions := range []int{10, 50} {
		b.Run(fmt.Sprintf("ours/sessions=%d", sessions), func(b *testing.B) {
			port := startSink(b)
			p, err := New(Options{Host: "127.0.0.1", Port: port, TLS: TLSNone, Auth: AuthNone, Connections: sessions, Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			m := email.Message{
				ID: messageID, From: "noreply@example.com", To: []string{"a@example.com"}, Recipients: []string{"a@example.com"},
				Subject: "Welcome to Example", Body: strings.Repeat(strings.Repeat("x", 63)+"\n", 16), CreatedAt: time.Now(),
			}
			measure(b, syscall.RUSAGE_SELF, func() {
				var wg sync.WaitGroup
				for i := range sessions {
					wg.Go(func() {
						for range share(b.N, sessions, i) {
							if _, err := p.Send(b.Context(), m); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
			p.Close()
		})
		b.Run(fmt.Sprintf("smtp-source/sessions=%d", sessions), func(b *testing.B) {
			source, err := exec.LookPath("smtp-source")
			if err != nil {
				b.Skip("smtp-source is not installed (package postfix)")
			}
			port := startSink(b)
			measure(b, syscall.RUSAGE_CHILDREN, func() {
				out, err := exec.CommandContext(b.Context(), source, "-4", "-d", "-s", strconv.Itoa(sessions), "-l", "1024", "-m", strconv.Itoa(b.N),
					"-f", "noreply@example.com", "-t", "a@example.com", "127.0.0.1:"+strconv.Itoa(port)).CombinedOutput()
				if err != nil {
					b.Fatalf("%v: %s", err, out)
				}
			})
		})
	}
}

// share is how many of n fall to part i of parts.
func share(n, parts, i int) int { return (n*(i+1))/parts - n*i/parts }

// measure reports messages a second, and processor time a message.
func measure(b *testing.B, who int, run func()) {
	b.Helper()
	before, start := processor(b, who), time.Now()
	b.ResetTimer()
	run()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "msg/s")
	b.ReportMetric(float64((processor(b, who)-before).Microseconds())/float64(b.N), "cpu-µs/msg")
}

func processor(b *testing.B, who int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// startSink runs smtp-sink until the benchmark ends.
func startSink(b *testing.B) (port int) {
	b.Helper()
	sink, err := exec.LookPath("smtp-sink")
	if err != nil {
		b.Skip("smtp-sink is not installed (package postfix)")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command(sink, "-u", "nobody", "-4", "127.0.0.1:"+strconv.Itoa(port), "200")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		c, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			c.Close()
			return port
		}
		<-time.After(10 * time.Millisecond)
	}
	b.Fatal("smtp-sink does not listen")
	return 0
}
