package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sessions is how many SMTP connections both clients may have.
const sessions = 50

// mail measures the email worker from Kafka to Postfix's smtp-sink, against
// Postfix's own client smtp-source on the same sink. Both programs come with
// Debian's postfix.
func mail(ctx context.Context, b *bench, t topics) (figures, error) {
	sink, address, err := startSink(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sink.end(syscall.SIGKILL) }()
	n := max(int(50_000*b.scale), 1000)
	alone, err := source(ctx, address, n)
	if err != nil {
		return nil, err
	}
	if err := b.fillMail(ctx, t.requests, n); err != nil {
		return nil, err
	}
	p, err := b.startMailer(t, address)
	if err != nil {
		return nil, err
	}
	waited := b.waitRecords(ctx, t.status, 3*n)
	if err := errors.Join(waited, p.end(syscall.SIGTERM)); err != nil {
		return nil, err
	}
	times, err := b.sentTimes(ctx, t.status, 3*n)
	if err != nil {
		return nil, err
	}
	s := between(times)
	return figures{perSecond: s.rate(), micros: s.cost(p), memory: mib(p.peak()), ofSource: s.rate() / alone}, nil
}

func startSink(ctx context.Context) (*process, string, error) {
	path, err := exec.LookPath("smtp-sink")
	if err != nil {
		return nil, "", errors.New("smtp-sink is not installed: it comes with Postfix")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", fmt.Errorf("find a port: %w", err)
	}
	address := l.Addr().String()
	_ = l.Close()
	args := []string{address, "1000"}
	if os.Geteuid() == 0 { // smtp-sink runs as nobody else then
		args = append([]string{"-u", "nobody"}, args...)
	}
	p, err := start(path, nil, args...)
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			_ = c.Close()
			return p, address, nil
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return nil, "", errors.Join(err, p.end(syscall.SIGKILL))
		}
	}
}

// source sends n messages of 1 KiB with smtp-source and returns its rate.
func source(ctx context.Context, address string, n int) (float64, error) {
	begun := time.Now()
	cmd := exec.CommandContext(ctx, "smtp-source", "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(n), "-l", "1024",
		"-f", "noreply@example.com", "-t", "user@example.com", address)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("smtp-source: %w\n%s", err, out)
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

func (b *bench) fillMail(ctx context.Context, topic string, n int) error {
	body := strings.Repeat("Thank you for your order; it is on its way. ", 20)
	return b.produce(ctx, n, func(i int) *kgo.Record {
		id := fmt.Sprintf("%08x-0000-4000-a000-%012x", i, i)
		return &kgo.Record{Topic: topic, Key: []byte(id), Value: fmt.Appendf(nil, `{"message_id":%q,"channel":"email",`+
			`"created_at":"2025-10-16T09:31:15Z","from":"noreply@example.com","to":["user@example.com"],`+
			`"subject":"Your order","body":{"type":"text","content":%q}}`, id, body)}
	})
}

func (b *bench) startMailer(t topics, address string) (*process, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of smtp-sink: %w", err)
	}
	return start(b.measured.path("email-worker"), map[string]string{
		"APP_ENV": "production", "APP_PORT": "0", "APP_HOST": "127.0.0.1", "KAFKA_BROKERS": strings.Join(b.brokers, ","),
		"KAFKA_EMAIL_REQUEST_TOPIC": t.requests, "KAFKA_EMAIL_STATUS_TOPIC": t.status, "KAFKA_EMAIL_DLQ_TOPIC": t.dlq,
		"EMAIL_CONSUMER_GROUP": t.group, "WORKER_CONCURRENCY": strconv.Itoa(sessions),
		"EMAIL_PROVIDER": "smtp", "SMTP_HOST": host, "SMTP_PORT": port, "SMTP_TLS": "none", "SMTP_AUTH": "none",
	})
}
