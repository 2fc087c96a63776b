package app

import (
	"context"
	"sync"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/telemetry"
)

// openTraces turns on the traces, or returns nil where the settings do not want
// them.
func (a *App) openTraces(ctx context.Context, channel models.Channel, name string) (*telemetry.Traces, error) {
	c := a.config
	if !c.OTel.On() {
		return nil, nil //nolint:nilnil // off, and nothing is wrong
	}
	endpoint := c.OTel.TracesEndpoint
	if endpoint == "" {
		endpoint = c.OTel.Endpoint + "/v1/traces"
	}
	var once sync.Once // the SDK repeats itself at each batch
	traces, err := telemetry.NewTraces(ctx, telemetry.TracesOptions{
		Endpoint: endpoint, Service: name, Version: Version(), Channel: channel, Provider: c.Provider.Name,
		Group: c.Kafka.Group, StatusTopic: c.Kafka.StatusTopic, DLQTopic: c.Kafka.DLQTopic,
		OnError: func(err error) {
			once.Do(func() {
				a.log.Warn().Err(err).Msg("traces cannot be exported: they are dropped while that lasts; said once")
			})
		},
	})
	if err != nil {
		return nil, settingError("OTEL_EXPORTER_OTLP_ENDPOINT", err)
	}
	a.teardown.push("traces", func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := traces.Close(ctx); err != nil { // exports what is left
			a.log.Warn().Err(err).Msg("the last traces are lost")
		}
		return nil
	})
	return traces, nil
}
