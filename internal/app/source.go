package app

import (
	"fmt"
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
	"messaging-worker/internal/orders"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
)

// source is one lane of the channel: a request topic, who reads it, and what
// handles its records. Lanes meet at the account and the publisher, and nowhere
// else: each has a client, a group and bounds of its own, so that what one waits
// for holds up no other.
type source struct {
	lane     models.Lane
	alone    bool           // the channel has no other lane
	config   *config.Config // the lane's
	log      zerolog.Logger
	pending  *worker.Pending // nil: nobody may look
	engine   *worker.Engine
	consumer *consumer.Consumer
	commit   *health.Loop
	observer observer
}

// shared is what the sources of a process have in common.
type shared struct {
	account   *account
	publisher *publisher.Publisher
	traces    *telemetry.Traces // nil: off
	kafka     kafka.Options
	shares    *shares
	orders    *orders.Board // nil: nobody gives any
}

// newSource makes the source of a lane's settings: which one of them all it is
// says number.
func (a *App) newSource(c *config.Config, number int, with *shared) (*source, error) {
	s := &source{lane: models.Lane(c.Lane), config: c, log: a.log, alone: !with.shares.several()}
	if !s.alone {
		s.log = a.log.With().Str("lane", c.Lane).Logger()
	}
	s.commit = a.health.Watch(s.name("commit"), stuckAfter)
	if c.Pprof {
		s.pending = &worker.Pending{}
	}
	metrics := a.metrics.Lane(s.lane)
	calls, events := metrics.Channel(newChannel(c, &with.account.parts)), metrics.Publisher(with.publisher)
	if with.traces != nil {
		calls, events = with.traces.Channel(calls), with.traces.Publisher(events)
	}
	s.engine = s.newEngine(with, calls, events)
	run := telemetry.Handle(s.engine.Handle)
	if with.traces != nil {
		run = with.traces.Handle(c.Kafka.Group, run)
	}
	var err error
	s.consumer, err = a.newConsumer(s, number, with, run)
	return s, err
}

// name returns what a thing is called of which each lane has one: its plain name
// in the normal lane, which every channel has.
func (s *source) name(plain string) string {
	if s.lane.Rank() == models.LaneNormal.Rank() {
		return plain
	}
	return plain + "." + string(s.lane)
}

// ofLane says of which lane an error is, where there are others. Nil is none.
func (s *source) ofLane(err error) error {
	if err == nil || s.alone {
		return err
	}
	return fmt.Errorf("lane %s: %w", s.lane, err)
}

func (s *source) newEngine(with *shared, calls worker.Channel, events worker.Publisher) *worker.Engine {
	c := s.config
	return worker.New(calls, events, with.account.route, worker.Options{
		Channel:        models.Channel(c.Channel),
		Lane:           s.lane,
		Provider:       c.Provider.Name,
		MaxAttempts:    c.Worker.MaxAttempts,
		Backoff:        worker.Backoff{Base: c.Worker.BaseBackoff, Max: c.Worker.MaxBackoff},
		AmbiguousToDLQ: c.Worker.AmbiguousOutcome == "dlq",
		CallTimeout:    c.LongestCall(), RetryAfterMax: c.Worker.RetryAfterMax, MaxAge: c.Worker.MaxAge,
		Orders: with.orders, Pending: s.pending, Log: s.log,
	})
}

func (a *App) newConsumer(s *source, number int, with *shared, run telemetry.Handle) (*consumer.Consumer, error) {
	c, client := s.config, with.kafka
	client.Hooks = kafka.Metrics(a.metrics.Registerer(), s.name("consumer"))
	client.ClientID = s.name(client.ClientID) // quotas of Kafka go by it: no lane uses up another's
	s.observer = observer{
		health: a.health, poll: a.health.Watch(s.name("poll"), stuckAfter), commit: s.commit,
		draining: s.name("drain"), drain: c.ShutdownTimeout,
		share: func(owned, total int) { with.shares.told(number, owned, total) },
	}
	return consumer.New(consumer.Options{
		Kafka: client, Topic: c.Kafka.RequestTopic, StatusTopic: c.Kafka.StatusTopic,
		Group: c.Kafka.Group, InstanceID: c.Kafka.InstanceID,
		SessionTimeout: c.Kafka.SessionTimeout, CommitInterval: c.Kafka.CommitInterval, LongestCall: c.LongestCall(),
		MaxAtWork:          maxAtWork(c),
		MaxPendingMessages: c.Worker.MaxPendingMessages, MaxPendingBytes: int64(c.Worker.MaxPendingBytes),
		AtMostOnce: !c.Kafka.CommitOnSuccessOnly,
		Journal:    with.publisher, Observer: s.observer, Log: s.log,
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

// observer tells health and route how the consumer fares.
type observer struct {
	health       *health.Health
	poll, commit *health.Loop
	draining     string        // the name of the loop that takes poll's place
	drain        time.Duration // how long a drain may take
	share        func(owned, total int)
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
	o.health.Watch(o.draining, o.drain+stuckAfter)
}

// Share implements consumer.Observer.
func (o observer) Share(owned, total int) { o.share(owned, total) }
