// Package dev runs everything in one process, for development: an embedded
// broker, the three workers with mock providers, and sample traffic.
package dev

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/app"
	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka/embedded"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
	"messaging-worker/internal/ops"
	"messaging-worker/internal/ops/fault"
)

// Options of the stack.
type Options struct {
	Port     int     // of the embedded broker; 0 takes a free one
	DataDir  string  // kept between runs; empty keeps nothing
	Messages int     // sample requests to produce; 0 goes on until ctx ends
	Rate     float64 // sample requests a second
	Once     bool    // end when all requests have their outcome
	Colour   bool
	Out      io.Writer      // what happens to each message, and the summary
	Log      zerolog.Logger // of the workers
}

// Run runs the stack until ctx ends or, with Once, until all traffic has its
// outcome. It prints what happens to each message, and a summary at the end.
func Run(ctx context.Context, o Options) error {
	settings, err := allSettings()
	if err != nil {
		return err
	}
	var topics, status []string
	for _, c := range settings {
		for _, lane := range c.Lanes() {
			topics = append(topics, lane.Kafka.RequestTopic)
		}
		topics = append(topics, c.Kafka.StatusTopic, c.Kafka.DLQTopic)
		status = append(status, c.Kafka.StatusTopic)
	}
	broker, err := embedded.Start(o.Port, o.DataDir, topics, settings[0].Kafka.ControlTopic)
	if err != nil {
		return fault.New(fault.NoPort, "%w", err)
	}
	defer broker.Close()
	for _, c := range settings {
		c.Kafka.Brokers = broker.ListenAddrs()
	}
	traffic, err := ops.NewTraffic(ctx, settings[0], status...)
	if err != nil {
		return err
	}
	defer traffic.Close()
	order, err := pauseTenant(ctx, settings[0], o.Once)
	if err != nil {
		return err
	}
	workers, err := build(ctx, settings, o.Log)
	if err != nil {
		return err
	}
	s := &stack{settings, workers, traffic, &view{newTally(), o.Colour, o.Out}}
	s.view.greet(broker.ListenAddrs()[0], settings, workers)
	s.view.tellPause(broker.ListenAddrs()[0], order)
	return s.run(ctx, o)
}

// allSettings returns those of each channel's worker: the usual topics, those of
// all lanes and of orders too, and waits of a second instead of minutes. The
// process environment is left out, so that the stack is the same on every machine.
func allSettings() ([]*config.Config, error) {
	settings := map[string]string{
		"KAFKA_BROKERS": "127.0.0.1:1", "APP_HOST": "127.0.0.1", "APP_PORT": "0",
		"BASE_BACKOFF_SECONDS": "0.5", "MAX_BACKOFF_SECONDS": "2", "PROVIDER_TIMEOUT_SECONDS": "2",
	}
	lookup := func(name string) (string, bool) { v, ok := settings[name]; return v, ok }
	var list []*config.Config
	for _, channel := range models.Channels() {
		c, err := config.LoadTool(lookup, string(channel))
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// build builds a worker of each channel's settings.
func build(ctx context.Context, settings []*config.Config, log zerolog.Logger) ([]*app.App, error) {
	var workers []*app.App
	for _, c := range settings {
		w, err := app.New(ctx, c, log)
		if err != nil {
			for _, built := range workers {
				err = errors.Join(err, built.Close())
			}
			return nil, err
		}
		workers = append(workers, w)
	}
	return workers, nil
}

// stack is what Run runs, beside the broker.
type stack struct {
	settings []*config.Config
	workers  []*app.App // in the order of settings
	traffic  *ops.Traffic
	view     *view
}

// run starts everything, waits until the traffic is over, and stops the workers
// as a signal would.
func (s *stack) run(ctx context.Context, o Options) error {
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var workers sync.WaitGroup
	results := make([]error, len(s.workers))
	for i, w := range s.workers {
		workers.Go(func() {
			if results[i] = w.Run(working); results[i] != nil {
				stop(results[i])
			}
		})
	}
	following, unfollow := context.WithCancel(working)
	var follower sync.WaitGroup
	outcome := make(chan struct{}, 1)
	follower.Go(func() {
		if err := s.follow(following, outcome); err != nil {
			stop(err)
		}
	})

	producing, end := context.WithCancel(ctx)
	defer context.AfterFunc(working, end)()
	produced := s.produce(producing, o)
	for produced == nil && producing.Err() == nil && (!o.Once || s.view.tally.waiting() > 0) {
		select {
		case <-outcome:
		case <-producing.Done():
		}
	}
	end()
	stop(nil)
	workers.Wait()
	unfollow()
	follower.Wait()
	s.view.print("\n")
	return errors.Join(produced, errors.Join(results...), s.view.tally.write(o.Out))
}

// produce writes the sample traffic once all workers are ready, all scenarios
// on all channels and lanes in turn. The end of ctx is no error.
func (s *stack) produce(ctx context.Context, o Options) error {
	for _, w := range s.workers {
		for !w.Ready() {
			if lifetime.Sleep(ctx, 50*time.Millisecond) != nil {
				return nil //nolint:nilerr // this is how producing ends
			}
		}
	}
	scenarios := ops.Scenarios()
	for n := 0; o.Messages == 0 || n < o.Messages; n++ {
		channel, round := s.settings[n%len(s.settings)], n/len(s.settings)
		lanes := channel.Lanes()
		lane := lanes[round%len(lanes)]
		scenario := scenarios[round%len(scenarios)]
		if channel.Channel == string(models.SMS) && scenario.Name == "success" {
			scenario = pausedScenario()
		}
		r, err := ops.Sample(models.Channel(channel.Channel), scenario, n)
		if err != nil {
			return err
		}
		s.view.tally.produced(r, models.Lane(lane.Lane))
		if err := s.traffic.Produce(ctx, &r, lane.Kafka.RequestTopic); err != nil && ctx.Err() == nil {
			return err
		}
		if lifetime.Sleep(ctx, time.Duration(float64(time.Second)/o.Rate)) != nil {
			return nil //nolint:nilerr // this is how producing ends
		}
	}
	return nil
}
