package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"messaging-worker/internal/models"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker/route"
)

// handler answers over HTTP.
func (a *App) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", a.health.Handler())
	mux.Handle("GET /metrics", a.metrics.Handler())
	return mux
}

// summaryInterval is how often the log tells what was done, where anything
// was.
const summaryInterval = 30 * time.Second

// summarize writes a line about what was done since the last one.
func (a *App) summarize(ctx context.Context) {
	tick := time.NewTicker(summaryInterval)
	defer tick.Stop()
	var before [3]uint64
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		sent, failed, calls := a.metrics.Totals()
		stats, _, backingOff := a.pipeline.stats()
		if before == [3]uint64{sent, failed, calls} && stats.PendingMessages == 0 {
			continue
		}
		breaker := route.Closed // the worst
		for _, provider := range a.pipeline.accounts {
			state, _, _ := provider.route.Breaker()
			breaker = max(breaker, state)
		}
		a.log.Info().Uint64("sent", sent-before[0]).Uint64("failed", failed-before[1]).Uint64("provider_calls", calls-before[2]).
			Int("pending", stats.PendingMessages).Int("backing_off", backingOff).
			Str("breaker", breaker.String()).Dur("period", summaryInterval).Msg("summary")
		before = [3]uint64{sent, failed, calls}
	}
}

// openTraces turns on the traces, or returns nil where the settings do not want
// them.
func (a *App) openTraces(ctx context.Context, name string) (*telemetry.Traces, error) {
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
		Endpoint: endpoint, Service: name, Version: Version(), Channel: models.Channel(c.Channel), Provider: c.Provider.Name,
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
