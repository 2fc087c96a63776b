package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"messaging-worker/internal/health"
	"messaging-worker/internal/lifetime"
)

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
	defer stopServices()
	a.log.Info().Str("http", a.Addr()).Strs("brokers", a.config.Kafka.Brokers).
		Str("topic", a.config.Kafka.RequestTopic).Str("group", a.config.Kafka.Group).
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
	checks := &readiness{a.config, a.log, a.health, a.pipeline}
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
	for _, service := range []func(context.Context){
		a.summarize, checks.monitor, checks.watchProvider, a.pipeline.route.Run,
	} {
		services.Go(func() { service(serving) })
	}
	return func() {
		cancel()
		services.Wait()
	}
}
