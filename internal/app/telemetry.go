package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka/publisher"
	"messaging-worker/internal/models"
	"messaging-worker/internal/telemetry"
	"messaging-worker/internal/worker"
)

// follow turns on the traces, where the settings want them.
func (a *App) follow(ctx context.Context, channel models.Channel, name string) error {
	c := a.config
	if c.Pprof {
		a.pending = &worker.Pending{}
	}
	if !c.OTel.On() {
		return nil
	}
	endpoint := c.OTel.TracesEndpoint
	if endpoint == "" {
		endpoint = c.OTel.Endpoint + "/v1/traces"
	}
	var once sync.Once // the SDK repeats itself at each batch
	var err error
	a.traces, err = telemetry.NewTraces(ctx, telemetry.TracesOptions{
		Endpoint: endpoint, Service: name, Version: Version(), Channel: channel, Provider: c.Provider.Name,
		Group: c.Kafka.Group, StatusTopic: c.Kafka.StatusTopic, DLQTopic: c.Kafka.DLQTopic,
		OnError: func(err error) {
			once.Do(func() {
				a.log.Warn().Err(err).Msg("traces cannot be exported: they are dropped while that lasts; said once")
			})
		},
	})
	if err != nil {
		return settingError("OTEL_EXPORTER_OTLP_ENDPOINT", err)
	}
	return nil
}

// observed wraps what the engine is made of, and what it is called by, in
// metrics and traces.
func (a *App) observed(channel worker.Channel, events *publisher.Publisher) (
	worker.Channel, worker.Publisher, func(telemetry.Handle) telemetry.Handle,
) {
	channel, counted := a.metrics.Channel(channel), a.metrics.Publisher(events)
	if a.traces == nil {
		return channel, counted, func(h telemetry.Handle) telemetry.Handle { return h }
	}
	return a.traces.Channel(channel), a.traces.Publisher(counted), a.traces.Handle
}

// closeTraces exports what is left of them.
func (a *App) closeTraces(ctx context.Context) {
	if a.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := a.traces.Close(ctx); err != nil {
		a.log.Warn().Err(err).Msg("the last traces are lost")
	}
}

// handler answers over HTTP.
func (a *App) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", a.health.Handler())
	mux.Handle("GET /metrics", a.metrics.Handler())
	return mux
}

// state is how the worker stands, for the metrics.
func (a *App) state() telemetry.State {
	k := a.consumer.Stats()
	breaker, _, _ := a.route.Breaker()
	s := telemetry.State{
		CallsInFlight: a.route.InFlight(), BackingOff: a.engine.BackingOff(),
		PendingMessages: k.PendingMessages, PendingBytes: k.PendingBytes, Breaker: breaker,
		Commits: k.Commits, CommitFailures: k.CommitFailures, JournalRecords: k.JournalRecords,
		Finished: k.Finished, Resumed: k.Resumed, New: k.New, Topic: a.config.Kafka.RequestTopic,
	}
	if a.smtp != nil {
		limit, open := a.smtp.Connections()
		s.SMTP = &telemetry.Connections{Limit: limit, Open: open}
	}
	for _, p := range k.Partitions {
		s.Partitions = append(s.Partitions, telemetry.Partition{Number: p.Number, Lag: p.Lag, Oldest: p.Oldest})
	}
	return s
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
		now := a.state()
		if before == [3]uint64{sent, failed, calls} && now.PendingMessages == 0 {
			continue
		}
		a.log.Info().Uint64("sent", sent-before[0]).Uint64("failed", failed-before[1]).Uint64("provider_calls", calls-before[2]).
			Int("pending", now.PendingMessages).Int("backing_off", now.BackingOff).
			Str("breaker", now.Breaker.String()).Dur("period", summaryInterval).Msg("summary")
		before = [3]uint64{sent, failed, calls}
	}
}

// debugPort is where profiles are looked for by custom.
const debugPort = "6060"

// listenDebug takes a port of the loopback interface, where the settings want
// one: debugPort, or any where another worker has that.
func (a *App) listenDebug(ctx context.Context) (net.Listener, error) {
	if !a.config.Pprof {
		return nil, nil //nolint:nilnil // not wanted, and nothing is wrong
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", debugPort))
	if errors.Is(err, syscall.EADDRINUSE) {
		l, err = listen.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen for profiles: %w; or set PPROF_ENABLED=false", err)
	}
	return l, nil
}

func (a *App) serveDebug(ctx context.Context) error {
	if a.debug == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pending", a.showPending)
	a.log.Info().Str("debug", a.debug.Addr().String()).Msg("profiles at /debug/pprof/, unfinished messages at /debug/pending")
	return health.Serve(ctx, a.debug, mux)
}

// maxShown bounds the messages of an answer; the oldest are shown.
const maxShown = 1000

// pendingReport is the answer of /debug/pending.
type pendingReport struct {
	Partitions []pinned            `json:"partitions"`
	AtWork     int                 `json:"at_work"`
	Messages   []worker.Unfinished `json:"messages"` // the first maxShown by partition and offset
}

// pinned is a partition, and what keeps its offset from going on.
type pinned struct {
	Partition  int32              `json:"partition"`
	Committed  int64              `json:"committed_offset"` // -1: none yet
	Lag        int64              `json:"lag"`              // -1: not known yet
	Unfinished int                `json:"unfinished"`
	Pin        *int64             `json:"pinned_at_offset,omitzero"`
	Since      *time.Time         `json:"pinned_request_time,omitzero"`
	By         *worker.Unfinished `json:"pinned_by,omitzero"` // absent while the message waits for its turn
}

func (a *App) showPending(w http.ResponseWriter, _ *http.Request) {
	messages := a.pending.List()
	slices.SortFunc(messages, func(x, y worker.Unfinished) int {
		return cmp.Or(cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	report := pendingReport{AtWork: len(messages), Messages: messages[:min(len(messages), maxShown)]}
	for _, p := range a.consumer.Stats().Partitions {
		line := pinned{Partition: p.Number, Committed: p.Committed, Lag: p.Lag, Unfinished: p.Unfinished}
		if !p.Oldest.IsZero() {
			line.Pin, line.Since = new(p.Pin), new(p.Oldest.UTC())
		}
		for i := range messages {
			if m := &messages[i]; line.Pin != nil && m.Partition == p.Number && m.Offset == p.Pin {
				line.By = m
			}
		}
		report.Partitions = append(report.Partitions, line)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.MarshalWrite(w, report, jsontext.WithIndent("  ")) // an asker that went away is no matter of ours
}
