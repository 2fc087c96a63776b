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
func (l *Lane) Channel(inner worker.Channel) worker.Channel { return countedChannel{inner, l} }

type countedChannel struct {
	worker.Channel

	lane *Lane
}

func (c countedChannel) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := c.Channel.Decode(rec)
	if err != nil {
		return d, err //nolint:wrapcheck // only *common.Violations
	}
	send, wait := d.Send, &queueWait{lane: c.lane, requested: rec.Timestamp}
	d.Send = func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		return c.lane.send(ctx, call, send, wait)
	}
	return d, nil
}

// send makes a provider call and counts it.
func (m *Metrics) send(
	ctx context.Context, call common.Call, send func(context.Context, common.Call) (models.ProviderResponse, error), wait *queueWait,
) (resp models.ProviderResponse, err error) {
	begun, result := time.Now(), string(models.FailureUnknown) // which is what a panic comes to
	wait.begin(call, begun)
	made := true
	defer func() {
		wait.end(call, begun, made)
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
func (l *Lane) Publisher(inner worker.Publisher) worker.Publisher { return countedPublisher{inner, l} }

type countedPublisher struct {
	inner worker.Publisher
	lane  *Lane
}

func (p countedPublisher) Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) worker.Ack {
	return &countedAck{
		Ack: p.inner.Status(ctx, src, ev), lane: p.lane, event: ev.EventType, failure: ev.FailureType, at: src.Timestamp,
	}
}

func (p countedPublisher) DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error {
	if err := p.inner.DLQ(ctx, src, rec); err != nil {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	p.lane.deadLetters.WithLabelValues(string(rec.FailureType)).Inc()
	return nil
}

// countedAck counts an event once it is acknowledged. One goroutine waits.
type countedAck struct {
	worker.Ack

	lane    *Lane
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
	l := a.lane
	l.events[a.event].Inc()
	switch a.event {
	case models.EventSent:
		l.sent.Add(1)
		l.sentMessages.Inc()
	case models.EventFailed:
		l.failed.Add(1)
		l.messages.WithLabelValues(outcomeFailed, string(a.failure)).Inc()
	case models.EventCanceled:
		l.canceled.Add(1)
		l.messages.WithLabelValues(outcomeCanceled, "").Inc()
	default:
		return nil
	}
	if models.UsableTime(a.at) { // of any other how long it took is not known
		l.durations.Observe(max(0, time.Since(a.at).Seconds()))
	}
	return nil
}
