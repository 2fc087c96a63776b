// Package health serves the liveness and readiness of the process.
package health

import (
	"encoding/json"
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

// Ready reports whether every check is ok.
func (h *Health) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.checks {
		if err != nil {
			return false
		}
	}
	return true
}

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

// report is the body of both answers.
type report struct {
	Status string           `json:"status"`
	Checks map[string]check `json:"checks"`
}

type check struct {
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

func (r *report) add(name string, err string) {
	c := check{Status: "ok", Error: err}
	if err != "" {
		c.Status, r.Status = "unavailable", "unavailable"
	}
	r.Checks[name] = c
}

func (h *Health) ready() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := report{Status: "ok", Checks: map[string]check{}}
	for name, err := range h.checks {
		if err != nil {
			r.add(name, err.Error())
		} else {
			r.add(name, "")
		}
	}
	return r
}

func (h *Health) live() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := report{Status: "ok", Checks: map[string]check{}}
	for l := range h.loops {
		if silent := time.Since(l.last); silent > l.limit {
			r.add(l.name, "has not moved for "+silent.Round(time.Second).String())
		} else {
			r.add(l.name, "")
		}
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
	if r.Status != "ok" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(r) // fails where the client went away
}
