package app

import (
	"context"
	"os"
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
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// pipeline takes requests from Kafka to the provider, and events back to Kafka.
type pipeline struct {
	parts

	route       *route.Route // when the provider may be called
	credentials *route.CredentialBackoff

	publisher *publisher.Publisher
	engine    *worker.Engine
	pending   *worker.Pending // nil: nobody may look
	consumer  *consumer.Consumer
	commit    *health.Loop
}

// connect builds the pipeline. Traces are nil where they are off.
func (a *App) connect(provider parts, traces *telemetry.Traces, name string) (*pipeline, error) {
	c := a.config
	beginUnready(a.health, c.HealthProbe && provider.probe != nil)
	options := kafka.FromSettings(&c.Kafka, name)
	events, err := a.newPublisher(options)
	if err != nil {
		return nil, settingError("KAFKA", err)
	}
	p := &pipeline{parts: provider, publisher: events, commit: a.health.Watch("commit", stuckAfter)}
	p.credentials = route.NewCredentialBackoff(c.Breaker.Open, provider.secret)
	p.route = a.newRoute(p)
	a.watchSMTP(p.smtp, p.route.Bound)
	if c.Pprof {
		p.pending = &worker.Pending{}
	}
	calls, counted := a.metrics.Channel(newChannel(c, &provider)), a.metrics.Publisher(events)
	if traces != nil {
		calls, counted = traces.Channel(calls), traces.Publisher(counted)
	}
	p.engine = newEngine(c, calls, counted, p, a.log)
	run := telemetry.Handle(p.engine.Handle)
	if traces != nil {
		run = traces.Handle(run)
	}
	if p.consumer, err = a.newConsumer(options, p, run); err != nil {
		return nil, settingError("KAFKA", err)
	}
	return p, nil
}

func (a *App) newPublisher(options kafka.Options) (*publisher.Publisher, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	options.Hooks = kafka.Metrics(a.metrics.Registerer(), "producer")
	p, err := publisher.New(publisher.Options{
		Kafka: options, StatusTopic: a.config.Kafka.StatusTopic, DLQTopic: a.config.Kafka.DLQTopic, Host: host, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.teardown.push("publisher", func() error {
		p.Close()
		return nil
	})
	return p, nil
}

func newEngine(c *config.Config, calls worker.Channel, events worker.Publisher, p *pipeline, log zerolog.Logger) *worker.Engine {
	return worker.New(calls, events, p.route, worker.Options{
		Channel:        models.Channel(c.Channel),
		MaxAttempts:    c.Worker.MaxAttempts,
		Backoff:        worker.Backoff{Base: c.Worker.BaseBackoff, Max: c.Worker.MaxBackoff},
		AmbiguousToDLQ: c.Worker.AmbiguousOutcome == "dlq",
		CallTimeout:    c.LongestCall(), RetryAfterMax: c.Worker.RetryAfterMax, MaxAge: c.Worker.MaxAge,
		Pending: p.pending, Log: log,
	})
}

func (a *App) newConsumer(options kafka.Options, p *pipeline, run telemetry.Handle) (*consumer.Consumer, error) {
	c := a.config
	options.Hooks = kafka.Metrics(a.metrics.Registerer(), "consumer")
	watch := observer{a.health, a.health.Watch("poll", stuckAfter), p.commit, p.route, c.ShutdownTimeout}
	return consumer.New(consumer.Options{
		Kafka: options, Topic: c.Kafka.RequestTopic, StatusTopic: c.Kafka.StatusTopic,
		Group: c.Kafka.Group, InstanceID: c.Kafka.InstanceID,
		SessionTimeout: c.Kafka.SessionTimeout, CommitInterval: c.Kafka.CommitInterval, LongestCall: c.LongestCall(),
		MaxAtWork:          maxAtWork(c),
		MaxPendingMessages: c.Worker.MaxPendingMessages, MaxPendingBytes: int64(c.Worker.MaxPendingBytes),
		AtMostOnce: !c.Kafka.CommitOnSuccessOnly,
		Journal:    p.publisher, Observer: watch, Log: a.log,
	}, func(life *lifetime.Lifetime, rec *models.Record, progress message.Progress, lease *consumer.Lease) error {
		return run(life, rec, progress, lease)
	})
}

// maxAtWork returns how many handlers run at once: more than what calls and
// acknowledgements can hold up. At most once it is not many more: the commit
// of one passes all those before it, and a crash loses them.
func maxAtWork(c *config.Config) int {
	if c.Kafka.CommitOnSuccessOnly {
		return 1000 + 4*c.Worker.Concurrency
	}
	return 16 + 4*c.Worker.Concurrency
}

// flush waits for what is still buffered. After a clean drain there is nothing;
// an error is no loss, because nothing unacknowledged is committed.
func (p *pipeline) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := p.publisher.Flush(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (a *App) newRoute(p *pipeline) *route.Route {
	c := a.config
	return route.New(route.Options{
		Concurrency: c.Worker.Concurrency,
		Rates: route.Rates{
			Provider: c.Provider.RatePerSecond, Sender: c.Provider.SenderRatePerSecond, Group: c.Provider.GroupRatePerSec,
		},
		Breaker: route.Breaker{
			Failures: c.Breaker.Failures, Refusals: c.Breaker.Refusals,
			OpenFor: c.Breaker.Open, CallTimeout: c.Worker.ProviderTimeout,
			Probe: p.probe, Credentials: p.credentials, OnChange: showBreaker(a.health),
		},
		Log: a.log,
	})
}

// observer tells health and route how the consumer fares.
type observer struct {
	health       *health.Health
	poll, commit *health.Loop
	route        *route.Route
	drain        time.Duration // how long a drain may take
}

// Polling implements consumer.Observer.
func (o observer) Polling() { o.poll.Beat() }

// Committing implements consumer.Observer.
func (o observer) Committing() { o.commit.Beat() }

// Draining replaces the watch over the poll loop, which has ended as it should.
// A drain may be silent for as long as its time-out; only one that outlives it
// is stuck.
func (o observer) Draining() {
	o.poll.End()
	o.health.Watch("drain", o.drain+stuckAfter)
}

// Share implements consumer.Observer.
func (o observer) Share(owned, total int) { o.route.Share(float64(owned) / float64(total)) }
