package telemetry

import (
	"context"
	"errors"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// Channel counts the provider calls of inner's deliveries.
func (m *Metrics) Channel(inner worker.Channel) worker.Channel { return countedChannel{inner, m} }

type countedChannel struct {
	worker.Channel

	metrics *Metrics
}

func (c countedChannel) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := c.Channel.Decode(rec)
	if err != nil {
		return d, err //nolint:wrapcheck // only *common.Violations
	}
	send := d.Send
	d.Send = func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		return c.metrics.send(ctx, call, send)
	}
	return d, nil
}

// send makes a provider call and counts it.
func (m *Metrics) send(
	ctx context.Context, call common.Call, send func(context.Context, common.Call) (models.ProviderResponse, error),
) (resp models.ProviderResponse, err error) {
	begun, result := time.Now(), string(models.FailureUnknown) // which is what a panic comes to
	made := true
	defer func() {
		if made && !errors.Is(ctx.Err(), context.Canceled) { // else it was cut by us
			m.called.Add(1)
			m.calls.Observe(time.Since(begun).Seconds())
			m.attempts[result].Inc()
		}
	}()
	resp, err = send(ctx, call)
	if f := common.Classify(err); f == nil {
		result = resultOK
	} else {
		result, made = string(f.Class), !f.NotCalled
	}
	return resp, err //nolint:wrapcheck // the engine classes it
}

// Publisher counts what is written to Kafka through inner.
func (m *Metrics) Publisher(inner worker.Publisher) worker.Publisher {
	return countedPublisher{inner, m}
}

type countedPublisher struct {
	inner   worker.Publisher
	metrics *Metrics
}

func (p countedPublisher) Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) worker.Ack {
	return &countedAck{
		Ack: p.inner.Status(ctx, src, ev), metrics: p.metrics, event: ev.EventType, failure: ev.FailureType, at: src.Timestamp,
	}
}

func (p countedPublisher) DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error {
	if err := p.inner.DLQ(ctx, src, rec); err != nil {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	p.metrics.deadLetters.WithLabelValues(string(rec.FailureType)).Inc()
	return nil
}

// countedAck counts an event once it is acknowledged. One goroutine waits.
type countedAck struct {
	worker.Ack

	metrics *Metrics
	event   models.EventType
	failure models.FailureType
	at      time.Time // of the request
	counted bool
}

func (a *countedAck) Wait(ctx context.Context) error {
	if err := a.Ack.Wait(ctx); err != nil || a.counted {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	a.counted = true
	m := a.metrics
	m.events[a.event].Inc()
	switch a.event {
	case models.EventSent:
		m.sent.Add(1)
		m.sentMessages.Inc()
	case models.EventFailed:
		m.failed.Add(1)
		m.messages.WithLabelValues(outcomeFailed, string(a.failure)).Inc()
	default:
		return nil
	}
	if models.UsableTime(a.at) { // of any other how long it took is not known
		m.durations.Observe(max(0, time.Since(a.at).Seconds()))
	}
	return nil
}
