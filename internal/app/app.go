package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
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

// New builds a worker of the settings' channel and takes its HTTP port. It does
// not connect to Kafka. A *config.Error means that settings are wrong.
func New(ctx context.Context, c *config.Config, log zerolog.Logger) (*App, error) {
	a := &App{
		config: c, log: log.With().Str("channel", c.Channel).Logger(), health: &health.Health{},
		metrics: telemetry.NewMetrics(models.Channel(c.Channel), Version()),
	}
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// build makes all parts. Each pushes its close, so that what was made before an
// error can be closed.
func (a *App) build(ctx context.Context) error {
	provider, err := a.newAccount(a.config)
	if err != nil {
		return err
	}
	name := binaryName(models.Channel(a.config.Channel))
	traces, err := a.openTraces(ctx, name)
	if err != nil {
		return err
	}
	if a.pipeline, err = a.connect(provider, traces, name); err != nil {
		return err
	}
	address := net.JoinHostPort(a.config.Host, strconv.Itoa(a.config.Port))
	if a.listener, err = a.listen(ctx, address); err != nil {
		return fmt.Errorf("listen for http: %w; choose another APP_PORT", err)
	}
	if a.debug, err = a.listenDebug(ctx); err != nil {
		return err
	}
	a.metrics.Registerer().MustRegister(stateCollector{a})
	return nil
}

// listen takes a port, until Close.
func (a *App) listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	a.teardown.push("listener", func() error {
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

// Run works until ctx ends, then drains within SHUTDOWN_TIMEOUT_SECONDS. Nil
// means that every provider call under way ended in time. Run may be called
// once; afterwards the App is closed.
func (a *App) Run(ctx context.Context) error {
	life := lifetime.New(context.WithoutCancel(ctx))
	defer life.Cut(nil)
	defer context.AfterFunc(ctx, func() {
		life.Stop(context.Cause(ctx))
		a.log.Info().Dur("timeout", a.config.ShutdownTimeout).Msg("stopping: provider calls under way may end")
		time.AfterFunc(a.config.ShutdownTimeout, func() { life.Cut(nil) })
	})()

	stopServices := a.startServices(life)
	a.log.Info().Str("http", a.Addr()).Strs("brokers", a.config.Kafka.Brokers).Func(a.pipeline.origins).
		Str("provider", a.config.Provider.Name).Str("version", Version()).Msg("started")

	err := a.pipeline.run(life)
	if ctx.Err() == nil && life.Waiting().Err() != nil {
		err = errors.Join(context.Cause(life.Waiting()), err)
	}
	err = errors.Join(err, a.pipeline.flush(life.Calls()))
	stopServices()
	if err = errors.Join(err, a.Close()); err == nil {
		a.log.Info().Msg("stopped")
	}
	return err
}

// startServices starts what goes on beside the pipeline: HTTP, checks, logs. One
// that fails stops life. Stop ends them and waits for their ends.
func (a *App) startServices(life *lifetime.Lifetime) (stop func()) {
	serving, cancel := context.WithCancel(life.Calls())
	var services sync.WaitGroup
	for _, service := range []func(context.Context) error{
		func(ctx context.Context) error { return health.Serve(ctx, a.listener, a.handler()) },
		a.serveDebug,
	} {
		services.Go(func() {
			if err := service(serving); err != nil {
				life.Stop(err)
			}
		})
	}
	for _, service := range []func(context.Context){a.summarize, a.monitor, a.pipeline.control.run} {
		services.Go(func() { service(serving) })
	}
	for _, provider := range a.pipeline.accounts {
		services.Go(func() { provider.route.Run(serving) })
		services.Go(func() { a.watchProvider(serving, provider) })
	}
	return func() {
		cancel()
		services.Wait()
	}
}

// teardown closes what was built, the last first. The zero teardown is empty.
type teardown []closing

type closing struct {
	name  string
	close func() error
}

// push adds a part that was built.
func (t *teardown) push(name string, close func() error) { *t = append(*t, closing{name, close}) }

// run closes all parts, and leaves the teardown empty.
func (t *teardown) run() error {
	parts := *t
	*t = nil
	var failed error
	for _, part := range slices.Backward(parts) {
		if err := part.close(); err != nil {
			failed = errors.Join(failed, fmt.Errorf("close %s: %w", part.name, err))
		}
	}
	return failed
}
