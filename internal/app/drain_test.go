package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/health"
)

// A drain that keeps within its time-out is no loop that stands still; one
// that outlives it is.
func TestLiveInALongDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const timeout = 90 * time.Second
		var h health.Health
		poll := h.Watch("poll", stuckAfter)
		live := func() int {
			w := httptest.NewRecorder()
			h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz/live", nil))
			return w.Code
		}
		observer{health: &h, poll: poll, draining: "drain", drain: timeout}.Draining()
		time.Sleep(timeout + stuckAfter)
		if got := live(); got != http.StatusOK {
			t.Errorf("within the time-out: %d, want 200", got)
		}
		time.Sleep(time.Nanosecond)
		if got := live(); got != http.StatusServiceUnavailable {
			t.Errorf("long after the time-out: %d, want 503", got)
		}
	})
}
