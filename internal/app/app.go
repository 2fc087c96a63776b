package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/consumer"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/email/smtp"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// stuckAfter is how long one of the process's own loops may be silent. They
// beat every second or two; a slow provider or an absent broker does not stop
// them.
const stuckAfter = time.Minute

// App is one worker, built and not running yet.
type App struct {
	config    *config.Config
	log       zerolog.Logger
	listener  net.Listener
	health    health.Health
	provider  io.Closer
	probe     func(ctx context.Context) error // nil: nothing to probe
	smtp      *smtp.Provider                  // nil: none is called
	metrics   *telemetry.Metrics
	traces    *telemetry.Traces // nil: off
	engine    *worker.Engine
	route     *route.Route
	logins    *route.CredentialBackoff
	pending   *worker.Pending // nil: nobody may look
	debug     net.Listener    // nil: no profiles
	publisher *publisher.Publisher
	consumer  *consumer.Consumer
	poll      *health.Loop
	commit    *health.Loop
}

// New builds a worker and takes its HTTP port. It does not connect to Kafka.
// A *config.Error means that settings are wrong. Name is the binary's name.
func New(ctx context.Context, c *config.Config, b Builder, name string, log zerolog.Logger) (*App, error) {
	a := &App{config: c, log: log.With().Str("channel", c.Channel).Logger()}
	a.metrics = telemetry.NewMetrics(b.Channel, Version())
	parts, err := b.build(c)
	if err != nil {
		return nil, err
	}
	a.provider, a.probe, a.smtp = parts.provider, parts.probe, parts.smtp
	a.logins = route.NewCredentialBackoff(c.Breaker.Open, parts.secret)
	a.beginUnready()
	if err := a.follow(ctx, b.Channel, name); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if err := a.connect(parts.channel, b, name); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	if a.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for http: %w; choose another APP_PORT", err), a.Close())
	}
	if a.debug, err = a.listenDebug(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.metrics.Watch(a.state)
	return a, nil
}

// connect makes the Kafka clients and what runs on them.
func (a *App) connect(channel worker.Channel, b Builder, name string) error {
	c := a.config
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	options := kafka.FromSettings(&c.Kafka, name)
	options.Hook = kafka.Metrics(a.metrics.Registerer(), "producer")
	a.publisher, err = publisher.New(publisher.Options{
		Kafka: options, StatusTopic: c.Kafka.StatusTopic, DLQTopic: c.Kafka.DLQTopic, Host: host, Log: a.log,
	})
	if err != nil {
		return settingError("KAFKA", err)
	}
	options.Hook = kafka.Metrics(a.metrics.Registerer(), "consumer")
	a.route = route.New(route.Options{
		Concurrency: c.Worker.Concurrency,
		Rates: route.Rates{
			Provider: c.Provider.RatePerSecond, Sender: c.Provider.SenderRatePerSecond, Group: c.Provider.GroupRatePerSec,
		},
		Breaker: route.Breaker{
			Failures: c.Breaker.Failures, Refusals: c.Breaker.Refusals,
			OpenFor: c.Breaker.Open, CallTimeout: c.Worker.ProviderTimeout,
			Probe: a.probe, Credentials: a.logins, OnChange: a.breakerChanged,
		},
		Log: a.log,
	})
	if a.smtp != nil {
		a.smtp.OnLimit(a.connectionsLimited())
		a.smtp.OnQueuedForLater(sync.OnceFunc(a.warnOfQueue))
	}
	channel, events, handle := a.observed(channel, a.publisher)
	a.engine = worker.New(channel, events, a.route, worker.Options{
		Channel:        b.Channel,
		MaxAttempts:    c.Worker.MaxAttempts,
		Backoff:        worker.Backoff{Base: c.Worker.BaseBackoff, Max: c.Worker.MaxBackoff},
		AmbiguousToDLQ: c.Worker.AmbiguousOutcome == "dlq",
		CallTimeout:    c.LongestCall(), RetryAfterMax: c.Worker.RetryAfterMax, MaxAge: c.Worker.MaxAge,
		Pending: a.pending, Log: a.log,
	})
	run := handle(a.engine.Handle)
	a.poll, a.commit = a.health.Watch("poll", stuckAfter), a.health.Watch("commit", stuckAfter)
	a.consumer, err = consumer.New(consumer.Options{
		Kafka: options, Topic: c.Kafka.RequestTopic, StatusTopic: c.Kafka.StatusTopic,
		Acked: a.publisher.Acked, Settled: a.publisher.FlushPartition, Share: a.route.Share,
		Group: c.Kafka.Group, InstanceID: c.Kafka.InstanceID,
		SessionTimeout: c.Kafka.SessionTimeout, CommitInterval: c.Kafka.CommitInterval, LongestCall: c.LongestCall(),
		MaxAtWork:          atWork(c),
		MaxPendingMessages: c.Worker.MaxPendingMessages, MaxPendingBytes: int64(c.Worker.MaxPendingBytes),
		AtMostOnce: !c.Kafka.CommitOnSuccessOnly,
		PollBeat:   a.poll.Beat, PollEnd: a.draining, CommitBeat: a.commit.Beat, Log: a.log,
	}, func(life *lifetime.Lifetime, rec *models.Record, progress message.Progress, lease *consumer.Lease) error {
		return run(life, rec, progress, lease)
	})
	if err != nil {
		return settingError("KAFKA", err)
	}
	return nil
}

// atWork returns how many handlers run at once: more than what calls and
// acknowledgements can hold up. At most once it is not many more: the commit
// of one passes all those before it, and a crash loses them.
func atWork(c *config.Config) int {
	if c.Kafka.CommitOnSuccessOnly {
		return 1000 + 4*c.Worker.Concurrency
	}
	return 16 + 4*c.Worker.Concurrency
}

// Addr returns where the health checks answer.
func (a *App) Addr() string { return a.listener.Addr().String() }

// Ready reports whether every readiness check is ok.
func (a *App) Ready() bool { return a.health.Ready() }

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

	serving, stopServing := context.WithCancel(life.Calls())
	defer stopServing()
	var side sync.WaitGroup
	side.Go(func() {
		if err := health.Serve(serving, a.listener, a.handler()); err != nil {
			life.Stop(err)
		}
	})
	side.Go(func() {
		if err := a.serveDebug(serving); err != nil {
			life.Stop(err)
		}
	})
	side.Go(func() { a.summarize(serving) })
	side.Go(func() { a.monitor(serving) })
	side.Go(func() { a.route.Run(serving) })
	side.Go(func() { a.watchProvider(serving) })
	a.log.Info().Str("http", a.Addr()).Strs("brokers", a.config.Kafka.Brokers).
		Str("topic", a.config.Kafka.RequestTopic).Str("group", a.config.Kafka.Group).
		Str("provider", a.config.Provider.Name).Str("version", Version()).Msg("started")

	err := a.consumer.Run(life)
	a.commit.End()
	if ctx.Err() == nil && life.Waiting().Err() != nil {
		err = errors.Join(context.Cause(life.Waiting()), err)
	}
	err = errors.Join(err, a.flush(life.Calls()))
	stopServing()
	side.Wait()
	a.closeTraces(context.WithoutCancel(ctx))
	if err = errors.Join(err, a.Close()); err == nil {
		a.log.Info().Msg("stopped")
	}
	return err
}

// draining ends the watch over the poll loop, which has ended as it should. A
// drain may be silent for as long as its time-out; only one that outlives it
// is stuck.
func (a *App) draining() {
	a.poll.End()
	a.health.Watch("drain", a.config.ShutdownTimeout+stuckAfter)
}

// flush gives what is still buffered a last chance. After a clean drain there
// is nothing; an error is no loss, because nothing unacknowledged is committed.
func (a *App) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := a.publisher.Flush(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Close closes a worker that has not run.
func (a *App) Close() error {
	a.closeClients()
	if a.listener != nil {
		_ = a.listener.Close() // the server has closed it already when it ran
	}
	if a.debug != nil {
		_ = a.debug.Close()
	}
	if a.provider == nil {
		return nil
	}
	if err := a.provider.Close(); err != nil {
		return fmt.Errorf("close provider: %w", err)
	}
	return nil
}

func (a *App) closeClients() {
	if a.publisher != nil {
		a.publisher.Close()
	}
}
