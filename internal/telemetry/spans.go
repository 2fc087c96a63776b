package telemetry

import (
	"context"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// Handle takes one record to its outcome, as worker.Engine.Handle does.
type Handle func(life *lifetime.Lifetime, rec *models.Record, p message.Progress, c worker.Lease) error

// Handle gives each record that inner takes for a consumer group a span, a child
// of the span that the record's traceparent names and linked to it, as the
// semantic conventions for messaging ask of a process span. Inner sees a copy of
// the record that carries the span's own traceparent.
func (t *Traces) Handle(group string, inner Handle) Handle {
	return func(life *lifetime.Lifetime, rec *models.Record, p message.Progress, c worker.Lease) error {
		headers := carrier(rec.Headers)
		parent := t.context.Extract(context.WithoutCancel(life.Calls()), &headers)
		var links []trace.Link
		if producer := trace.SpanContextFromContext(parent); producer.IsValid() {
			links = append(links, trace.Link{SpanContext: producer})
		}
		parent, span := t.tracer.Start(
			parent, "process "+rec.Topic, trace.WithLinks(links...),
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				semconv.MessagingSystemKafka, semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
				semconv.MessagingDestinationName(rec.Topic), semconv.MessagingConsumerGroupName(group),
				semconv.MessagingDestinationPartitionID(strconv.Itoa(int(rec.Partition))),
				semconv.MessagingKafkaOffset(int(rec.Offset)), semconv.MessagingMessageBodySize(len(rec.Value)),
				attribute.String("messaging_worker.channel", string(t.opts.Channel)),
			),
		)
		defer span.End()
		own := t.within(parent, rec)
		err := inner(life.With(func(ctx context.Context) context.Context { return trace.ContextWithSpan(ctx, span) }), own, p, c)
		if err != nil { // not an outcome: the record will be read again
			span.SetStatus(codes.Error, "left unfinished")
		}
		return err
	}
}

// within returns a copy of rec that is part of ctx's span.
func (t *Traces) within(ctx context.Context, rec *models.Record) *models.Record {
	own := *rec
	headers := carrier(slices.Clone(rec.Headers))
	t.context.Inject(ctx, &headers)
	own.Headers = headers
	return &own
}

// Channel gives each provider call of inner's deliveries a span.
func (t *Traces) Channel(inner worker.Channel) worker.Channel { return tracedChannel{inner, t} }

type tracedChannel struct {
	worker.Channel

	traces *Traces
}

func (c tracedChannel) Decode(rec *models.Record) (common.Delivery, error) {
	d, err := c.Channel.Decode(rec)
	if err != nil {
		return d, err //nolint:wrapcheck // only *common.Violations
	}
	send, id := d.Send, d.Envelope.MessageID
	d.Send = func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		return c.traces.send(ctx, id, call, send)
	}
	return d, nil
}

// send makes a provider call in a span of its own.
func (t *Traces) send(
	ctx context.Context, id string, call common.Call, send func(context.Context, common.Call) (models.ProviderResponse, error),
) (models.ProviderResponse, error) {
	ctx, span := t.tracer.Start(
		ctx, "deliver "+string(t.opts.Channel),
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			attribute.String("messaging_worker.provider", t.opts.Provider),
			attribute.Int("messaging_worker.attempt", call.Attempt),
			attribute.Int("messaging_worker.recipients", len(call.Recipients)),
			semconv.MessagingMessageID(id),
		),
	)
	defer span.End()
	resp, err := send(ctx, call)
	if resp.Code != 0 {
		span.SetAttributes(attribute.Int("messaging_worker.provider_code", resp.Code))
	}
	f := common.Classify(err)
	switch {
	case f == nil:
	case f.NotCalled:
		span.SetAttributes(attribute.Bool("messaging_worker.not_called", true))
	default:
		span.SetAttributes(semconv.ErrorTypeKey.String(string(f.Class)))
		span.SetStatus(codes.Error, string(f.Class))
	}
	return resp, err //nolint:wrapcheck // the engine classes it
}

// Publisher gives each record that is written through inner a span, whose
// traceparent it carries.
func (t *Traces) Publisher(inner worker.Publisher) worker.Publisher { return tracedPublisher{inner, t} }

type tracedPublisher struct {
	inner  worker.Publisher
	traces *Traces
}

func (p tracedPublisher) Status(ctx context.Context, src *models.Record, ev *models.StatusEvent) worker.Ack {
	process := trace.SpanFromContext(ctx)
	if ev.FailureType != models.FailureValidation { // the id of an invalid request may be anything
		process.SetAttributes(semconv.MessagingMessageID(ev.MessageID))
	}
	if ev.FailureType != "" {
		process.SetAttributes(semconv.ErrorTypeKey.String(string(ev.FailureType)))
		process.SetStatus(codes.Error, "message failed: "+string(ev.FailureType))
	}
	ctx, span := p.traces.publish(ctx, p.traces.opts.StatusTopic, src)
	span.SetAttributes(attribute.String("messaging_worker.event_type", string(ev.EventType)))
	return tracedAck{p.inner.Status(ctx, p.traces.within(ctx, src), ev), span}
}

func (p tracedPublisher) DLQ(ctx context.Context, src *models.Record, rec *models.DLQRecord) error {
	at, span := p.traces.publish(ctx, p.traces.opts.DLQTopic, src)
	defer span.End()
	err := p.inner.DLQ(ctx, p.traces.within(at, src), rec)
	if err != nil {
		span.SetStatus(codes.Error, "not acknowledged")
	}
	return err //nolint:wrapcheck // the cause of ctx's end
}

func (t *Traces) publish(ctx context.Context, topic string, src *models.Record) (context.Context, trace.Span) {
	return t.tracer.Start(
		ctx, "send "+topic,
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(
			semconv.MessagingSystemKafka, semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
			semconv.MessagingDestinationName(topic),
			attribute.Int64("messaging_worker.source_offset", src.Offset),
		),
	)
}

// tracedAck ends the span once somebody knows what became of the event.
type tracedAck struct {
	worker.Ack

	span trace.Span
}

func (a tracedAck) Wait(ctx context.Context) error {
	err := a.Ack.Wait(ctx)
	if err != nil {
		a.span.SetStatus(codes.Error, "not acknowledged")
	}
	a.span.End()
	return err //nolint:wrapcheck // the cause of ctx's end
}

// carrier lets the propagator read and write record headers.
type carrier []models.Header

// Get implements propagation.TextMapCarrier.
func (c *carrier) Get(key string) string {
	for _, h := range slices.Backward(*c) {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// Set implements propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	*c = slices.DeleteFunc(*c, func(h models.Header) bool { return h.Key == key })
	*c = append(*c, models.Header{Key: key, Value: []byte(value)})
}

// Keys implements propagation.TextMapCarrier.
func (c *carrier) Keys() []string {
	var keys []string
	for _, h := range *c {
		keys = append(keys, h.Key)
	}
	return keys
}
