// Package health serves the liveness and readiness of the process.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Health holds the state behind /healthz/live and /healthz/ready. The zero
// Health is live, and ready as soon as no check has an error. It is safe for
// concurrent use.
type Health struct {
	mu     sync.Mutex
	checks map[string]error
	orders map[string]func() any
	loops  map[*Loop]struct{}
}

// Set states the outcome of a named check: nil is ok. A check that was never
// set does not exist. The error's text is shown to whoever asks, so it must
// hold no secret.
func (h *Health) Set(check string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]error{}
	}
	h.checks[check] = err
}

// ShowOrders has a check show what an operator ordered that stands behind it,
// asked anew for each answer. What list returns is shown as JSON, nil not at all.
func (h *Health) ShowOrders(check string, list func() any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.orders == nil {
		h.orders = map[string]func() any{}
	}
	h.orders[check] = list
}

// Ready reports whether every check is ok.
func (h *Health) Ready() bool { return h.ready().Status == ok }

// Loop is one of the process's own loops. If it does not beat within its limit,
// the process is not live.
type Loop struct {
	health *Health
	name   string
	limit  time.Duration
	last   time.Time
}

// Watch adds a loop and counts this call as its first beat.
func (h *Health) Watch(name string, limit time.Duration) *Loop {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &Loop{health: h, name: name, limit: limit, last: time.Now()}
	if h.loops == nil {
		h.loops = map[*Loop]struct{}{}
	}
	h.loops[l] = struct{}{}
	return l
}

// Beat records that the loop makes progress.
func (l *Loop) Beat() {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	l.last = time.Now()
}

// End takes the loop out: it has ended as it should.
func (l *Loop) End() {
	l.health.mu.Lock()
	defer l.health.mu.Unlock()
	delete(l.health.loops, l)
}

// ok is the status of what has no error.
const ok = "ok"

// report is the body of both answers.
type report struct {
	Status string           `json:"status"`
	Checks map[string]check `json:"checks"`
}

type check struct {
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
	Orders any    `json:"orders,omitempty"`
}

func newReport() report { return report{Status: ok, Checks: map[string]check{}} }

func (r *report) add(name string, err error) {
	c := check{Status: ok}
	if err != nil {
		r.Status, c = "unavailable", check{Status: "unavailable", Error: err.Error()}
	}
	r.Checks[name] = c
}

func (h *Health) ready() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := newReport()
	for name, err := range h.checks {
		r.add(name, err)
	}
	for name, list := range h.orders {
		c := r.Checks[name]
		c.Orders = list()
		r.Checks[name] = c
	}
	return r
}

func (h *Health) live() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := newReport()
	for l := range h.loops {
		var err error
		if silent := time.Since(l.last); silent > l.limit {
			err = fmt.Errorf("has not moved for %v", silent.Round(time.Second))
		}
		r.add(l.name, err)
	}
	return r
}

// Handler serves GET and HEAD of /healthz/live and /healthz/ready.
func (h *Health) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz/live", func(w http.ResponseWriter, _ *http.Request) { write(w, h.live()) })
	mux.HandleFunc("GET /healthz/ready", func(w http.ResponseWriter, _ *http.Request) { write(w, h.ready()) })
	return mux
}

func write(w http.ResponseWriter, r report) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if r.Status != ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // fails where the client went away
}

// Serve answers on l until ctx ends, then lets requests under way finish for
// a second. It returns nil then, and an error when the listener fails before.
func Serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1) // the one result of the one server
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}
