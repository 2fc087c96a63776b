package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/worker/route"
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
	var h health.Health
	beginUnready(&h, false)
	breakerChanged := showBreaker(&h)
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, ""},
		{func() { breakerChanged(route.Open, "http 503") }, `"provider":{"status":"unavailable","error":"http 503"}`},
		{func() { breakerChanged(route.HalfOpen, "http 503") }, `"provider":{"status":"ok"}`},
		{func() { breakerChanged(route.Closed, "") }, `"provider":{"status":"ok"}`},
	} {
		step.change()
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz/ready", nil))
		if body := w.Body.String(); !strings.Contains(body, step.want) || step.want == "" && strings.Contains(body, "provider") {
			t.Errorf("ready says %s, want %s", body, step.want)
		}
	}
	beginUnready(&h, true)
	if h.Ready() {
		t.Error("ready before the provider that is to be asked was asked")
	}
}

// The readiness probe tries refused credentials ever more seldom, says when
// next, and at once where the secret has changed.
func TestReadinessProbeSparesRefusedCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var version atomic.Value
		version.Store("wrong 1")
		var mu sync.Mutex
		var probes []time.Duration
		c := &config.Config{HealthProbe: true}
		c.Worker.ProviderTimeout = time.Second
		p := &account{
			credentials: route.NewCredentialBackoff(5*time.Second, func() string { return version.Load().(string) }),
			route:       route.New(route.Options{Concurrency: 1}),
			parts: parts{probe: func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				probes = append(probes, time.Since(start))
				if version.Load() == "right" {
					return nil
				}
				f := common.Transient(errors.New("smtp 535 authentication refused"))
				f.Unreachable, f.Credentials = true, true
				return f
			}},
		}
		checks := &App{config: c, health: &health.Health{}}
		ready := func() string {
			r := httptest.NewRecorder()
			checks.health.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/healthz/ready", http.NoBody))
			return r.Body.String()
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); checks.watchProvider(ctx, p) }()
		time.Sleep(20*time.Minute + time.Second)
		synctest.Wait()
		var want []time.Duration
		for _, s := range []int{0, 15, 30, 60, 105, 195, 360, 660, 960} { // it looks every 15 s
			want = append(want, time.Duration(s)*time.Second)
		}
		mu.Lock()
		if !slices.Equal(probes, want) {
			t.Errorf("probes at %v, want %v", probes, want)
		}
		mu.Unlock()
		next := start.Add(1260 * time.Second).UTC().Format(time.RFC3339)
		if got := ready(); !strings.Contains(got, "tried again at "+next) {
			t.Errorf("readiness says %s, want it to name %s", got, next)
		}
		version.Store("right")
		time.Sleep(15 * time.Second)
		synctest.Wait()
		mu.Lock()
		if got := ready(); strings.Contains(got, "535") || len(probes) != len(want)+1 {
			t.Errorf("readiness says %s after %d probes", got, len(probes))
		}
		mu.Unlock()
		stop()
		<-ended
	})
}
