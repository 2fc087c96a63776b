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
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"messaging-worker/internal/health"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// debugPort is the customary port of profiles.
const debugPort = "6060"

// listenDebug takes a port of the loopback interface, where the settings want
// one: debugPort, or any where another worker has that.
func (a *App) listenDebug(ctx context.Context) (net.Listener, error) {
	if !a.config.Pprof {
		return nil, nil //nolint:nilnil // not wanted, and nothing is wrong
	}
	l, err := a.listen(ctx, net.JoinHostPort("127.0.0.1", debugPort))
	if errors.Is(err, syscall.EADDRINUSE) {
		l, err = a.listen(ctx, "127.0.0.1:0")
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
	Partitions []partitionReport   `json:"partitions"`
	AtWork     int                 `json:"at_work"`
	Messages   []worker.Unfinished `json:"messages"` // the first maxShown by lane, partition and offset
}

// partitionReport is a partition, and which message keeps its offset from being
// committed further.
type partitionReport struct {
	Lane       models.Lane        `json:"lane"`
	Partition  int32              `json:"partition"`
	Committed  int64              `json:"committed_offset"` // -1: none yet
	Lag        int64              `json:"lag"`              // -1: not known yet
	Unfinished int                `json:"unfinished"`
	Pin        *int64             `json:"pinned_at_offset,omitzero"`
	Since      *time.Time         `json:"pinned_request_time,omitzero"`
	By         *worker.Unfinished `json:"pinned_by,omitzero"` // absent while the message waits to be taken up
}

func (a *App) showPending(w http.ResponseWriter, _ *http.Request) {
	var report pendingReport
	for _, s := range a.pipeline.sources {
		s.report(&report)
	}
	report.Messages = report.Messages[:min(len(report.Messages), maxShown)]
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.MarshalWrite(w, report, jsontext.WithIndent("  ")) // fails where the client went away
}

// report adds the source's partitions and messages to a report.
func (s *source) report(to *pendingReport) {
	messages := s.pending.List()
	slices.SortFunc(messages, func(x, y worker.Unfinished) int {
		return cmp.Or(cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Offset, y.Offset))
	})
	for _, p := range s.consumer.Stats().Partitions {
		line := partitionReport{Lane: s.lane, Partition: p.Number, Committed: p.Committed, Lag: p.Lag, Unfinished: p.Unfinished}
		if !p.Oldest.IsZero() {
			line.Pin, line.Since = new(p.Pin), new(p.Oldest.UTC())
		}
		for i := range messages {
			if m := &messages[i]; line.Pin != nil && m.Partition == p.Number && m.Offset == p.Pin {
				line.By = m
			}
		}
		to.Partitions = append(to.Partitions, line)
	}
	to.AtWork += len(messages)
	to.Messages = append(to.Messages, messages...)
}
