package ops

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// Samples are sample requests of one channel. All fields but Meta are required.
type Samples struct {
	Channel   models.Channel
	Scenarios []Scenario        // taken in turn
	Meta      map[string]string // added to each scenario's hints, and wins; nil adds none
	Count     int
	Rate      float64 // a second
}

// Request makes request number n.
func (s *Samples) Request(n int) (Request, error) {
	return Sample(s.Channel, s.Scenarios[n%len(s.Scenarios)].with(s.Meta), n)
}

// flushTimeout is how long an interrupted command waits for what it handed over.
const flushTimeout = 5 * time.Second

// Produce writes the samples to the channel's request topic and calls made for
// each that Kafka acknowledged, in no order, and one at a time. The end of ctx
// ends it early, with its cause.
func (s *Samples) Produce(ctx context.Context, c *config.Config, made func(*Request)) error {
	client, err := Connect(ctx, c, InteractiveProducer()...)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := c.Kafka.RequestTopic
	if err := NeedTopics(ctx, client, kafka.Need{Topic: topic, Write: true}); err != nil {
		return err
	}
	var failed atomic.Pointer[error] // the first failure
	begun := time.Now()
	produce := func(n int) error {
		due := begun.Add(time.Duration(float64(n) / s.Rate * float64(time.Second)))
		if err := lifetime.Sleep(ctx, time.Until(due)); err != nil {
			return err
		}
		r, err := s.Request(n)
		if err != nil {
			return err
		}
		// The client makes one of these calls at a time.
		client.Produce(context.WithoutCancel(ctx), r.Record(topic), func(_ *kgo.Record, err error) {
			if err == nil {
				made(&r)
				return
			}
			err = produceError(topic, err)
			failed.CompareAndSwap(nil, &err)
		})
		return nil
	}
	var ended error
	for n := 0; n < s.Count && ended == nil && failed.Load() == nil; n++ {
		ended = produce(n)
	}
	flushing, cancel := WithGrace(ctx, flushTimeout)
	defer cancel()
	if err := client.Flush(flushing); err != nil && ended == nil {
		ended = fmt.Errorf("wait for acknowledgements: %w", err)
	}
	if first := failed.Load(); first != nil {
		return *first
	}
	return ended
}
