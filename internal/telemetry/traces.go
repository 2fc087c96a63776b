package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"messaging-worker/internal/models"
)

// TracesOptions say where spans go and what they tell of the worker.
type TracesOptions struct {
	Endpoint string // full URL of an OTLP/HTTP collector's traces

	Service  string // the binary's name; OTEL_SERVICE_NAME wins
	Version  string
	Channel  models.Channel
	Provider string // mock, smtp, twilio or meta

	StatusTopic, DLQTopic string

	// OnError is told what went wrong with the export.
	OnError func(error)
}

// Traces follows messages through a worker: a span a message, continued from
// its traceparent, with one for each provider call and each record written.
// Spans hold no address, number, subject or body. It is safe for concurrent
// use.
type Traces struct {
	opts     TracesOptions
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	context  propagation.TraceContext
}

// NewTraces begins to export. It does not connect; a collector that is away
// costs spans and nothing else. The SDK reads the standard OTEL_ variables.
func NewTraces(ctx context.Context, o TracesOptions) (*Traces, error) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(o.OnError))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(o.Endpoint))
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	about, err := resource.New(
		ctx,
		resource.WithAttributes(semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("describe the service for traces: %w", err), exporter.Shutdown(ctx))
	}
	t := &Traces{opts: o}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	t.tracer = t.provider.Tracer(
		"messaging-worker", trace.WithInstrumentationVersion(o.Version),
		trace.WithSchemaURL(semconv.SchemaURL), // the release whose names the attributes have
	)
	return t, nil
}

// Close exports what is left, or gives it up when ctx ends.
func (t *Traces) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last traces: %w", err)
	}
	return nil
}
