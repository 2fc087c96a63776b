package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/telemetry"
)

// App is the process of one worker, built and not running yet.
type App struct {
	config   *config.Config
	log      zerolog.Logger
	health   *health.Health
	metrics  *telemetry.Metrics
	pipeline *pipeline
	listener net.Listener
	debug    net.Listener // nil: no profiles
	teardown teardown
}

// New builds a worker and takes its HTTP port. It does not connect to Kafka.
// A *config.Error means that settings are wrong. Name is the binary's name.
func New(ctx context.Context, c *config.Config, b Builder, name string, log zerolog.Logger) (*App, error) {
	a := &App{
		config: c, log: log.With().Str("channel", c.Channel).Logger(), health: &health.Health{},
		metrics: telemetry.NewMetrics(b.Channel, Version()),
	}
	if err := a.build(ctx, b, name); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// build makes all parts. Each pushes its close, so that what was made before an
// error can be closed.
func (a *App) build(ctx context.Context, b Builder, name string) error {
	provider, err := b.build(a.config)
	if err != nil {
		return err
	}
	a.teardown.push("provider", provider.provider.Close)
	traces, err := a.openTraces(ctx, b.Channel, name)
	if err != nil {
		return err
	}
	if a.pipeline, err = a.connect(b.Channel, provider, traces, name); err != nil {
		return err
	}
	if a.listener, err = a.listen(ctx); err != nil {
		return err
	}
	if a.debug, err = a.listenDebug(ctx); err != nil {
		return err
	}
	a.metrics.Watch(a.state)
	return nil
}

// listen takes the HTTP port.
func (a *App) listen(ctx context.Context) (net.Listener, error) {
	address := net.JoinHostPort(a.config.Host, strconv.Itoa(a.config.Port))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for http: %w; choose another APP_PORT", err)
	}
	a.teardown.push("http", func() error {
		_ = l.Close() // where it was served, the server has closed it
		return nil
	})
	return l, nil
}

// Addr returns where the health checks answer.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Ready reports whether every readiness check is ok.
func (a *App) Ready() bool { return a.health.Ready() }

// Close closes a worker that has not run.
func (a *App) Close() error { return a.teardown.run() }

// stuckAfter is how long one of the process's own loops may be silent. They
// beat every second or two; a slow provider or an absent broker does not stop
// them.
const stuckAfter = time.Minute
