package health_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/health"
)

func get(h http.Handler, method, path string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestReady(t *testing.T) {
	t.Parallel()
	var h health.Health
	h.Set("kafka", nil)
	h.Set("topics", errors.New("messages.sms.dlq is missing"))
	code, body := get(h.Handler(), http.MethodGet, "/healthz/ready")
	want := `{"status":"unavailable","checks":{"kafka":{"status":"ok"},"topics":{"status":"unavailable","error":"messages.sms.dlq is missing"}}}`
	if code != http.StatusServiceUnavailable || body != want {
		t.Errorf("ready = %d %s, want 503 %s", code, body, want)
	}
	h.Set("topics", nil)
	want = `{"status":"ok","checks":{"kafka":{"status":"ok"},"topics":{"status":"ok"}}}`
	if code, body = get(h.Handler(), http.MethodGet, "/healthz/ready"); code != http.StatusOK || body != want {
		t.Errorf("ready = %d %s, want 200 %s", code, body, want)
	}
}

// Orders stand beside the check's status and change nothing of it.
func TestReadyShowsOrders(t *testing.T) {
	t.Parallel()
	var h health.Health
	var list any
	h.Set("control", nil)
	h.ShowOrders("control", func() any { return list })
	for text, orders := range map[string]any{``: nil, `,"orders":[]`: []string{}, `,"orders":["pause"]`: []string{"pause"}} {
		list = orders
		want := `{"status":"ok","checks":{"control":{"status":"ok"` + text + `}}}`
		if code, body := get(h.Handler(), http.MethodGet, "/healthz/ready"); code != http.StatusOK || body != want {
			t.Errorf("ready = %d %s, want 200 %s", code, body, want)
		}
	}
}

func TestLiveTurnsRedWhenALoopStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h health.Health
		loop := h.Watch("poll", 10*time.Second)
		h.Set("kafka", errors.New("down")) // readiness is not liveness
		time.Sleep(9 * time.Second)
		if code, body := get(h.Handler(), http.MethodGet, "/healthz/live"); code != http.StatusOK {
			t.Errorf("within the limit: %d %s, want 200", code, body)
		}
		loop.Beat()
		time.Sleep(10*time.Second + 1)
		if code, body := get(h.Handler(), http.MethodGet, "/healthz/live"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"poll"`) {
			t.Errorf("beyond the limit: %d %s, want 503 that names the loop", code, body)
		}
		loop.End()
		if code, _ := get(h.Handler(), http.MethodGet, "/healthz/live"); code != http.StatusOK {
			t.Errorf("after its end: %d, want 200", code)
		}
	})
}

func TestOtherRequests(t *testing.T) {
	t.Parallel()
	var h health.Health
	tests := []struct {
		method, path string
		want         int
	}{
		{http.MethodHead, "/healthz/live", http.StatusOK},
		{http.MethodPost, "/healthz/live", http.StatusMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound},
	}
	for _, tt := range tests {
		if got, _ := get(h.Handler(), tt.method, tt.path); got != tt.want {
			t.Errorf("%s %s = %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	var h health.Health
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- health.Serve(ctx, l, h.Handler()) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz/live")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cancel()
	if err := <-done; err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("Serve = %v, status %d, want nil and 200", err, resp.StatusCode)
	}
}
