package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// wrongPassword is how a provider refuses our credentials.
func wrongPassword() *common.Failure {
	f := common.Transient(errors.New("smtp 535 authentication refused"))
	f.Unreachable, f.Credentials = true, true
	return f
}

// account is one whose password a test changes. It notes when somebody tried
// to log in. It is used in a bubble.
type account struct {
	start   time.Time
	lenient bool // its probes are well whatever the password

	mu      sync.Mutex
	version string // of the secret's file; "" for a secret of the environment
	right   bool
	tries   []time.Duration
	told    []string // of the breaker's changes
}

func (a *account) secret() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version
}

func (a *account) login() *common.Failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tries = append(a.tries, time.Since(a.start))
	if a.right {
		return nil
	}
	return wrongPassword()
}

func (a *account) rotate(version string, right bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version, a.right = version, right
}

func (a *account) tried() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.tries)
}

// worker starts one whose probes and calls log in, and which has one message.
func (a *account) worker(t *testing.T, failures, messages, concurrency int) (r *route.Route, wait, stop func()) {
	t.Helper()
	r = route.New(route.Options{Concurrency: concurrency, Breaker: route.Breaker{
		Failures: failures, OpenFor: 5 * time.Second, CallTimeout: 30 * time.Second,
		Credentials: route.NewCredentialBackoff(5*time.Second, a.secret),
		Probe: func(context.Context) error {
			if a.lenient {
				return nil
			}
			f := a.login()
			if f == nil {
				return nil // and not one without a value
			}
			return f
		},
		OnChange: func(s route.BreakerState, reason string) {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.told = append(a.told, s.String()+": "+reason)
		},
	}})
	e := worker.New(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
		if f := a.login(); f != nil {
			return fails(f)
		}
		return accepted()
	}}, &ledger{}, r, worker.Options{Channel: models.SMS, MaxAttempts: 100, CallTimeout: 30 * time.Second})
	wait, stop = begun(t, r, e, messages)
	return r, wait, stop
}

// Credentials that are refused are tried ever more seldom, up to every five
// minutes, and the reason says when next.
func TestRefusedCredentialsAreTriedEverMoreSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{start: time.Now()}
		r, _, stop := a.worker(t, 1, 1, 8)
		time.Sleep(21 * time.Minute)
		want := []time.Duration{0, 0} // the call, and the first probe
		for _, s := range []int{5, 15, 35, 75, 155, 315, 615, 915, 1215} {
			want = append(want, time.Duration(s)*time.Second)
		}
		if got := a.tried(); !slices.Equal(got, want) {
			t.Errorf("logins at %v, want %v", got, want)
		}
		next := a.start.Add(1515 * time.Second).UTC().Format(time.RFC3339)
		if _, _, reason := r.Breaker(); reason != "transient error: smtp 535 authentication refused; the same credentials are tried again at "+next {
			t.Errorf("reason %q, want it to name %s", reason, next)
		}
		stop()
	})
}

// A secret that has changed is tried at the breaker's next look; one that is
// wrong too begins anew.
func TestChangedSecretIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{start: time.Now(), version: "1"}
		_, wait, stop := a.worker(t, 1, 1, 8)
		time.Sleep(402 * time.Second) // the next try were at 615
		a.rotate("2", false)
		time.Sleep(100 * time.Second)
		a.rotate("3", true)
		wait()
		got := a.tried()
		want := []time.Duration{405 * time.Second, 410 * time.Second, 420 * time.Second, 440 * time.Second, 480 * time.Second, 505 * time.Second}
		if len(got) < 9+len(want) || !slices.Equal(got[8:8+len(want)], want) {
			t.Errorf("logins at %v, want behind the eighth %v", got, want)
		}
		stop()
	})
}

// A provider whose probes let us in and whose calls do not is no way around
// the wait.
func TestRefusedCredentialsOfCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{start: time.Now(), lenient: true}
		_, _, stop := a.worker(t, 1, 1, 8)
		time.Sleep(20 * time.Minute)
		want := []time.Duration{0}
		for _, s := range []int{0, 5, 15, 35, 75, 155, 315, 615, 915} {
			want = append(want, time.Duration(s)*time.Second)
		}
		if got := a.tried(); !slices.Equal(got, want) {
			t.Errorf("calls at %v, want %v", got, want)
		}
		stop()
	})
}

// Without a breaker the calls themselves wait: after those that were under
// way, one at a time, ever more seldom, until the secret changes.
func TestRefusedCredentialsWithoutBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const concurrency = 10
		a := &account{start: time.Now(), version: "1"}
		r, wait, stop := a.worker(t, 0, 50, concurrency)
		time.Sleep(30 * time.Minute)
		got := a.tried()
		if len(got) > concurrency+12 || len(got) < 8 {
			t.Errorf("%d logins in half an hour: %v", len(got), got)
		}
		if s, _, _ := r.Breaker(); s != route.Closed {
			t.Errorf("the breaker is %v, though it is off", s)
		}
		a.rotate("2", true)
		changed := time.Now()
		wait()
		if took := time.Since(changed); took > time.Minute {
			t.Errorf("all were sent %v after the secret had changed", took)
		}
		stop()
	})
}

// The time of the next try is told with the failure of the probe, and again
// with each.
func TestReasonTellsTheNextTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &account{start: time.Now()}
		_, _, stop := a.worker(t, 1, 1, 1)
		time.Sleep(16 * time.Second)
		stop()
		told := a.told
		if len(told) != 4 || strings.Contains(told[0], "tried again") {
			t.Fatalf("told %q", told)
		}
		for i, s := range []int{5, 15, 35} {
			if at := a.start.Add(time.Duration(s) * time.Second).UTC().Format(time.RFC3339); !strings.HasSuffix(told[i+1], "tried again at "+at) {
				t.Errorf("told %q, want %s", told[i+1], at)
			}
		}
	})
}
