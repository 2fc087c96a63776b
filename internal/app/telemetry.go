package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/kafka/consumer"
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
	var before telemetry.Totals
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := a.metrics.Totals()
		stats, each := a.pipeline.stats()
		if now == before && stats.PendingMessages == 0 {
			continue
		}
		a.log.Info().Func(ended(now, before)).Uint64("provider_calls", now.Calls-before.Calls).
			Int("pending", stats.PendingMessages).Func(a.pipeline.waiting(each)).Dur("period", summaryInterval).Msg("summary")
		before = now
	}
}

// ended adds to a log line how many messages have ended since before. Most workers
// never see one canceled.
func ended(now, before telemetry.Totals) func(line *zerolog.Event) {
	return func(line *zerolog.Event) {
		line.Uint64("sent", now.Sent-before.Sent).Uint64("failed", now.Failed-before.Failed)
		if now.Canceled > 0 {
			line.Uint64("canceled", now.Canceled-before.Canceled)
		}
	}
}

// waiting adds to a log line what the unfinished messages of the sources wait for.
func (p *pipeline) waiting(sources []consumer.Stats) func(line *zerolog.Event) {
	return func(line *zerolog.Event) {
		pending, backingOff := zerolog.Dict(), 0
		for i, s := range p.sources {
			pending.Int(string(s.lane), sources[i].PendingMessages)
			backingOff += s.engine.BackingOff()
		}
		if len(sources) > 1 {
			line.Dict("pending_by_lane", pending)
		}
		breaker := route.Closed // the worst
		for _, provider := range p.accounts {
			state, _, _ := provider.route.Breaker()
			breaker = max(breaker, state)
		}
		line.Int("backing_off", backingOff).Str("breaker", breaker.String())
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
		StatusTopic: c.Kafka.StatusTopic, DLQTopic: c.Kafka.DLQTopic,
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
