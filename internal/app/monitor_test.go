package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/config"
	"messaging-worker/internal/worker"
)

// Whenever the brokers come back: they are found within a second, though a
// request that is under way waits ever longer for its next try.
func TestBrokersAreFoundWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for away := time.Duration(0); away < 2*askTimeout; away += 77 * time.Millisecond {
			back := time.Now().Add(away)
			ask := func(ctx context.Context) (bool, error) {
				for wait := 100 * time.Millisecond; time.Now().Before(back); wait *= 2 {
					select {
					case <-time.After(wait):
					case <-ctx.Done():
						return false, context.Cause(ctx)
					}
				}
				return true, nil
			}
			for found := false; !found; {
				found, _ = firstAnswer(t.Context(), ask)
				if !found {
					time.Sleep(unreadyInterval)
				}
			}
			if late := time.Since(back); late > time.Second {
				t.Errorf("back after %v: found %v later", away, late)
			}
		}
	})
}

// A slow broker has its time, and a refusal is told at once.
func TestFirstAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, err := firstAnswer(t.Context(), func(ctx context.Context) (string, error) {
			select {
			case <-time.After(askTimeout - time.Millisecond):
				return "slow", nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
		if got != "slow" || err != nil {
			t.Errorf("firstAnswer = %q, %v, want the slow one", got, err)
		}
		begun, refusal := time.Now(), errors.New("refused")
		_, err = firstAnswer(t.Context(), func(context.Context) (string, error) { return "", refusal })
		if !errors.Is(err, refusal) || time.Since(begun) > 0 {
			t.Errorf("firstAnswer = %v after %v, want the refusal at once", err, time.Since(begun))
		}
	})
}

// Readiness has no check of a provider that nobody has asked. It says what the
// breaker's answers were.
func TestProviderCheckComesFromAnswers(t *testing.T) {
	t.Parallel()
	probe := func(context.Context) error { return nil }
	a := &App{config: &config.Config{}, probe: probe}
	a.beginUnready()
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, ""},
		{func() { a.breakerChanged(worker.Open, "http 503") }, `"provider":{"status":"unavailable","error":"http 503"}`},
		{func() { a.breakerChanged(worker.HalfOpen, "http 503") }, `"provider":{"status":"ok"}`},
		{func() { a.breakerChanged(worker.Closed, "") }, `"provider":{"status":"ok"}`},
	} {
		step.change()
		w := httptest.NewRecorder()
		a.health.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz/ready", nil))
		if body := w.Body.String(); !strings.Contains(body, step.want) || step.want == "" && strings.Contains(body, "provider") {
			t.Errorf("ready says %s, want %s", body, step.want)
		}
	}
	a.config.HealthProbe = true
	a.beginUnready()
	if a.Ready() {
		t.Error("ready before the provider that is to be asked was asked")
	}
}
