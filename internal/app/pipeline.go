package app

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

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
	accounts  []*account
	publisher *publisher.Publisher
	sources   []*source
}

// source is a request topic: who reads it, and what handles its records.
type source struct {
	config   *config.Config
	pending  *worker.Pending // nil: nobody may look
	engine   *worker.Engine
	consumer *consumer.Consumer
	commit   *health.Loop
}

// connect builds the pipeline. Traces are nil where they are off.
func (a *App) connect(provider *account, traces *telemetry.Traces, name string) (*pipeline, error) {
	c := a.config
	beginUnready(a.health, c.HealthProbe && provider.probe != nil)
	options := kafka.FromSettings(&c.Kafka, name)
	events, err := a.newPublisher(options)
	if err != nil {
		return nil, settingError("KAFKA", err)
	}
	p := &pipeline{accounts: []*account{provider}, publisher: events}
	requests, err := a.newSource(c, p, provider, options, traces)
	if err != nil {
		return nil, settingError("KAFKA", err)
	}
	p.sources = []*source{requests}
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

// newSource makes the source of the settings' request topic, whose messages go
// to provider. Traces are nil where they are off.
func (a *App) newSource(
	c *config.Config, p *pipeline, provider *account, options kafka.Options, traces *telemetry.Traces,
) (*source, error) {
	s := &source{config: c, commit: a.health.Watch("commit", stuckAfter)}
	if c.Pprof {
		s.pending = &worker.Pending{}
	}
	calls, events := a.metrics.Channel(newChannel(c, &provider.parts)), a.metrics.Publisher(p.publisher)
	if traces != nil {
		calls, events = traces.Channel(calls), traces.Publisher(events)
	}
	s.engine = a.newEngine(s, provider.route, calls, events)
	run := telemetry.Handle(s.engine.Handle)
	if traces != nil {
		run = traces.Handle(run)
	}
	var err error
	s.consumer, err = a.newConsumer(s, p, options, run)
	return s, err
}

func (a *App) newEngine(s *source, r *route.Route, calls worker.Channel, events worker.Publisher) *worker.Engine {
	c := s.config
	return worker.New(calls, events, r, worker.Options{
		Channel:        models.Channel(c.Channel),
		MaxAttempts:    c.Worker.MaxAttempts,
		Backoff:        worker.Backoff{Base: c.Worker.BaseBackoff, Max: c.Worker.MaxBackoff},
		AmbiguousToDLQ: c.Worker.AmbiguousOutcome == "dlq",
		CallTimeout:    c.LongestCall(), RetryAfterMax: c.Worker.RetryAfterMax, MaxAge: c.Worker.MaxAge,
		Pending: s.pending, Log: a.log,
	})
}

func (a *App) newConsumer(s *source, p *pipeline, options kafka.Options, run telemetry.Handle) (*consumer.Consumer, error) {
	c := s.config
	options.Hooks = kafka.Metrics(a.metrics.Registerer(), "consumer")
	watch := observer{a.health, a.health.Watch("poll", stuckAfter), s.commit, p.accounts, c.ShutdownTimeout}
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

// run reads all sources until life is stopped, then drains them. A source that
// fails stops the others.
func (p *pipeline) run(life *lifetime.Lifetime) error {
	life = life.Child()
	defer life.Cut(nil)
	failed := make([]error, len(p.sources))
	var running sync.WaitGroup
	for i, s := range p.sources {
		running.Go(func() {
			defer s.commit.End()
			if failed[i] = s.consumer.Run(life); failed[i] != nil {
				life.Stop(failed[i])
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// topics returns the request topics.
func (p *pipeline) topics() []string {
	var topics []string
	for _, s := range p.sources {
		topics = append(topics, s.config.Kafka.RequestTopic)
	}
	return topics
}

// stats returns what each source has done and has in hand, and the sum without
// their partitions, whose numbers are each source's own.
func (p *pipeline) stats() (sum consumer.Stats, each []consumer.Stats, backingOff int) {
	for _, s := range p.sources {
		one := s.consumer.Stats()
		each = append(each, one)
		sum.PendingMessages += one.PendingMessages
		sum.PendingBytes += one.PendingBytes
		sum.Commits += one.Commits
		sum.CommitFailures += one.CommitFailures
		sum.JournalRecords += one.JournalRecords
		sum.Finished += one.Finished
		sum.Resumed += one.Resumed
		sum.New += one.New
		backingOff += s.engine.BackingOff()
	}
	return sum, each, backingOff
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

// observer tells health and route how the consumer fares.
type observer struct {
	health       *health.Health
	poll, commit *health.Loop
	accounts     []*account
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
func (o observer) Share(owned, total int) {
	for _, provider := range o.accounts {
		provider.route.Share(float64(owned) / float64(total))
	}
}
