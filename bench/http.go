package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"syscall"
	"time"

	"messaging-worker/internal/providers/fake"
)

// Credentials of the fake Twilio.
const (
	twilioAccount = "AC00000000000000000000000000000001"
	twilioToken   = "bench-token"
)

// serveTwilio plays Twilio in this process and returns the settings that point
// a worker at it, and what ends it.
func serveTwilio(ctx context.Context, latency time.Duration, next func(call int) fake.Fault) (map[string]string, func(), error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("serve Twilio: %w", err)
	}
	f := fake.Twilio(twilioAccount, twilioAccount, twilioToken)
	f.Latency, f.Discard, f.Next = latency, true, next
	s := &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }() // it ends by Close
	return map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_BASE_URL": "http://" + l.Addr().String(),
		"TWILIO_ACCOUNT_SID": twilioAccount, "TWILIO_AUTH_TOKEN": twilioToken,
	}, func() { _ = s.Close() }, nil
}

// overHTTP measures a load whose calls go over HTTP.
func overHTTP(l load) measurement {
	return func(ctx context.Context, b *bench, t topics) (figures, error) {
		settings, end, err := serveTwilio(ctx, 50*time.Millisecond, nil)
		if err != nil {
			return nil, err
		}
		defer end()
		l := l
		l.env = maps.Clone(l.env)
		maps.Copy(l.env, settings)
		return backlog(l)(ctx, b, t)
	}
}

// traced measures a load whose messages are all traced.
func traced(l load) measurement {
	return func(ctx context.Context, b *bench, t topics) (figures, error) {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("play a collector: %w", err)
		}
		s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		})}
		go func() { _ = s.Serve(listener) }() // it ends by Close
		defer s.Close()
		l := l
		l.env = maps.Clone(l.env)
		l.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://" + listener.Addr().String()
		return backlog(l)(ctx, b, t)
	}
}

// misbehaving measures memory behind a provider that floods, hangs, lies, and
// cuts connections in turn, without end.
func misbehaving(ctx context.Context, b *bench, t topics) (figures, error) {
	faults := []fake.Fault{fake.Flood, fake.HangBefore, fake.HangAfter, fake.Lie, fake.Cut, fake.Gateway}
	settings, end, err := serveTwilio(ctx, 10*time.Millisecond, func(call int) fake.Fault { return faults[call%len(faults)] })
	if err != nil {
		return nil, err
	}
	defer end()
	if err := b.fill(ctx, t.requests, max(int(200_000*b.scale), 20_000), nil); err != nil {
		return nil, err
	}
	maps.Copy(settings, map[string]string{
		"WORKER_CONCURRENCY": "200", "PROVIDER_TIMEOUT_SECONDS": "1", "BREAKER_FAILURES": "0",
		"BASE_BACKOFF_SECONDS": "0.1", "MAX_BACKOFF_SECONDS": "1", "LOG_LEVEL": "error",
	})
	p, err := b.startWorker(t, settings)
	if err != nil {
		return nil, err
	}
	f, err := b.growth(ctx, p, 15*time.Second)
	if err != nil {
		return nil, err
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("the worker did not outlive its provider: %w", err)
	}
	return f, nil
}
