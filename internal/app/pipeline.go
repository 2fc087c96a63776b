package app

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/kafka/consumer"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/telemetry"
)

// pipeline takes requests from Kafka to the provider, and events back to Kafka.
type pipeline struct {
	accounts  []*account
	publisher *publisher.Publisher
	control   *control  // nil: nobody gives orders
	sources   []*source // one a lane, the most urgent first
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
	if p.control, err = a.newControl(options, p.accounts); err != nil {
		return nil, settingError("KAFKA", err)
	}
	lanes := c.Lanes()
	with := &shared{
		account: provider, publisher: events, traces: traces, kafka: options, shares: newShares(len(lanes), p.share),
		orders: p.control.orders(),
	}
	for i, lane := range lanes {
		requests, err := a.newSource(lane, i, with)
		if err != nil {
			return nil, settingError("KAFKA", err)
		}
		p.sources = append(p.sources, requests)
	}
	return p, nil
}

func (a *App) newPublisher(options kafka.Options) (*publisher.Publisher, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	options.Hooks = kafka.Metrics(a.metrics.Registerer(), "producer")
	var letters *kafka.Options
	if len(a.config.Lanes()) > 1 { // what fails in one lane is not to hold up the events of another
		apart := options
		apart.Hooks, apart.ClientID = kafka.Metrics(a.metrics.Registerer(), "producer.dlq"), options.ClientID+".dlq"
		letters = &apart
	}
	p, err := publisher.New(publisher.Options{
		Kafka: options, DeadLetters: letters, StatusTopic: a.config.Kafka.StatusTopic, DLQTopic: a.config.Kafka.DLQTopic, Host: host, Log: a.log,
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

// run reads all sources until life is stopped, then drains them. A source that
// fails stops the others, and none begins before the orders are known.
func (p *pipeline) run(life *lifetime.Lifetime) error {
	life = life.Child()
	defer life.Cut(nil)
	if p.control.await(life.Waiting(), p.sources) != nil {
		return nil // it was stopped, and nothing was begun
	}
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

// share has every account take this worker's part of the consumer group's rate.
func (p *pipeline) share(part float64) {
	for _, provider := range p.accounts {
		provider.route.Share(part)
	}
}

// topics returns the request topics.
func (p *pipeline) topics() []string {
	var topics []string
	for _, s := range p.sources {
		topics = append(topics, s.config.Kafka.RequestTopic)
	}
	return topics
}

// origins adds to a log line where requests come from.
func (p *pipeline) origins(line *zerolog.Event) {
	if len(p.sources) == 1 {
		k := &p.sources[0].config.Kafka
		line.Str("topic", k.RequestTopic).Str("group", k.Group)
		return
	}
	var groups []string
	for _, s := range p.sources {
		groups = append(groups, s.config.Kafka.Group)
	}
	line.Strs("topics", p.topics()).Strs("groups", groups)
}

// stats returns what each source has done and has in hand, and the sum without
// their partitions, whose numbers are each source's own.
func (p *pipeline) stats() (sum consumer.Stats, each []consumer.Stats) {
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
	}
	return sum, each
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
