package smtp_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkHundredRecipients has 10 ms of round trip between client and
// server. It reports the median of a message's time.
func BenchmarkHundredRecipients(b *testing.B) {
	s := &sink{}
	srv := serve(b, s.serve)
	far := serve(b, func(_ int, c net.Conn) { delayed(c, srv.Addr().String(), 5*time.Millisecond) })
	o := options("")
	o.Port = far.port()
	p := newProvider(b, o)
	var to []string
	for i := range 100 {
		to = append(to, fmt.Sprintf("user%d@example.com", i))
	}
	m := mailOf(newRequest("to: " + strings.Join(to, " ")))
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		if r, err := p.Send(b.Context(), m); err != nil || len(r.Refusals) > 0 {
			b.Fatal(r, err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
	p.Close()
}

// delayed passes bytes between near and the server at address, each way after
// a delay.
func delayed(near net.Conn, address string, delay time.Duration) {
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	var wg sync.WaitGroup
	pass := func(dst io.WriteCloser, src io.Reader) {
		type piece struct {
			text []byte
			due  time.Time
		}
		pieces := make(chan piece, 1024)
		wg.Go(func() {
			defer dst.Close()
			for p := range pieces {
				<-time.After(time.Until(p.due))
				dst.Write(p.text)
			}
		})
		wg.Go(func() {
			defer close(pieces)
			buf := make([]byte, 64<<10)
			for {
				n, err := src.Read(buf)
				if err != nil {
					return
				}
				pieces <- piece{slices.Clone(buf[:n]), time.Now().Add(delay)}
			}
		})
	}
	pass(far, near)
	pass(near, far)
	wg.Wait()
}
