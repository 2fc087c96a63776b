package app

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/config"
	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// logged is a log that a test reads while others write it.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// take returns what was written since the last time.
func (l *logged) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// newTestControl makes the control of a worker of SMS, which follows nothing yet.
func newTestControl(t *testing.T, log *logged, r *route.Route) (*control, *health.Health) {
	t.Helper()
	c := &config.Config{Channel: string(models.SMS)}
	c.Kafka.ControlTopic, c.Provider.Name, c.Provider.GroupRatePerSec = "orders", "mock", 10
	a := &App{config: c, log: zerolog.New(log), health: &health.Health{}}
	made, err := a.newControl(kafka.Options{Brokers: []string{"127.0.0.1:1"}}, []*account{{route: r}})
	if err != nil {
		t.Fatal(err)
	}
	return made, a.health
}

// apply gives an order as the topic does.
func (c *control) apply(t *testing.T, o models.Order) {
	t.Helper()
	o.Until, o.By = time.Now().Add(time.Hour), "ops"
	value, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(&models.Record{Topic: "orders", Key: []byte(o.Key()), Value: value})
}

// While the orders cannot be read, no loop is taken for stuck, and a stop ends the
// wait. Readiness says why.
func TestWaitForOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, h := newTestControl(t, &logged{}, nil)
		s := &source{observer: observer{poll: h.Watch("poll", stuckAfter), commit: h.Watch("commit", stuckAfter)}}
		ctx, cancel := context.WithCancelCause(t.Context())
		stop, done := errors.New("stop"), make(chan error, 1)
		go func() { done <- c.await(ctx, []*source{s}) }()
		time.Sleep(10*stuckAfter + time.Millisecond)
		ask := func(path string) (int, string) {
			w := httptest.NewRecorder()
			h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w.Code, w.Body.String()
		}
		if code, body := ask("/healthz/live"); code != http.StatusOK {
			t.Errorf("live while the orders are not read: %d %s, want 200", code, body)
		}
		if err := c.check(h); err == nil {
			t.Error("a worker without its orders may start")
		}
		if code, body := ask("/healthz/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"control":{"status":"unavailable","error":"topic orders is not read to its end yet"}`) {
			t.Errorf("ready while the orders are not read: %d %s, want 503 and why", code, body)
		}
		cancel(stop)
		if err := <-done; !errors.Is(err, stop) {
			t.Errorf("await = %v, want %v", err, stop)
		}
	})
}

// Without a control topic nothing waits, is checked or shown.
func TestNoControl(t *testing.T) {
	t.Parallel()
	a := &App{config: &config.Config{}, health: &health.Health{}}
	c, err := a.newControl(kafka.Options{}, nil)
	if err != nil || c != nil || c.orders() != nil || c.await(t.Context(), nil) != nil || c.check(a.health) != nil {
		t.Errorf("without a topic: %v, %v, want nothing", c, err)
	}
	c.run(t.Context())
	c.collect(nil)
	w := httptest.NewRecorder()
	if a.health.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz/ready", nil)); strings.Contains(w.Body.String(), controlCheck) {
		t.Errorf("ready says %s, want nothing of orders", w.Body)
	}
}

// Each order that is given, lifted or expires has a line. None says whom messages
// go to.
func TestOrdersAreLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logged
		c, _ := newTestControl(t, &log, route.New(route.Options{Concurrency: 1}))
		line := func(want ...string) {
			t.Helper()
			got := log.take()
			for _, part := range want {
				if !strings.Contains(got, part) {
					t.Errorf("logged %s, want %s", got, part)
				}
			}
			if strings.Contains(got, "jane") || strings.Contains(got, "7654321") || strings.Contains(got, "765 4321") {
				t.Errorf("logged %s, want no address", got)
			}
		}
		pause := models.Order{
			Action: models.ActionPause, Channel: models.SMS, Lane: models.LaneBulk, Meta: map[string]string{"jane@example.com": "+15557654321"},
			Reason: "wrong, says jane@example.com (+1 555 765 4321)",
		}
		c.apply(t, pause)
		line(`"order":"given"`, `"action":"pause"`, `"scope":"sms/lane/bulk"`, `"by":"ops"`, `"reason":"wrong, says `)
		c.Apply(&models.Record{Key: []byte(pause.Key()), Headers: []models.Header{{Key: "by", Value: []byte("boss")}, {Key: "reason", Value: []byte("right again")}}})
		line(`"order":"lifted"`, `"by":"boss"`, `"reason":"right again"`)
		c.apply(t, models.Order{Action: models.ActionRate, Channel: models.SMS, PerSecond: 5, Reason: "slowly"})
		line(`"per_second":5`)
		time.Sleep(time.Hour)
		synctest.Wait()
		line(`"order":"expired"`, `"action":"rate"`)
		c.Apply(&models.Record{Topic: "orders", Offset: 7, Key: []byte("pause/+15557654321"), Value: []byte(`{"action":"pause","channel":"jane","until":"2999-01-01T00:00:00Z","reason":"r"}`)})
		line(`"level":"warn"`, `"record":"orders/0/7"`)
		c.apply(t, models.Order{Action: models.ActionPause, Channel: models.SMS, Meta: map[string]string{"k": "v"}, Reason: "r"})
		if n := c.errors.Load(); n != 1 || c.board.Paused() != 1 {
			t.Errorf("%d errors and %d pauses, want 1 and 1", n, c.board.Paused())
		}
		log.take()
		c.Begin()
		for _, id := range []string{"1", "2", "3"} {
			c.apply(t, models.Order{Action: models.ActionCancel, MessageID: id, Reason: "r"})
		}
		c.Complete()
		line(`"order":"given","messages":3`, `"order":"lifted","action":"pause"`, "orders read")
	})
}

// An order's rate takes the place of the settings' for as long as it is in force;
// that of the provider before that of the channel.
func TestRateOfAnOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := route.New(route.Options{Concurrency: 100, Rates: route.Rates{Group: 10}})
		r.Share(1)
		c, _ := newTestControl(t, &logged{}, r)
		// starts counts the calls that start in 10 seconds.
		starts := func() int {
			time.Sleep(time.Minute)
			var mu sync.Mutex
			var wg sync.WaitGroup
			n := 0
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
			defer cancel()
			for range 50 {
				wg.Go(func() {
					for {
						a := &route.Attempt{Lease: certain{}, Delivery: &common.Delivery{}}
						err := r.Admit(ctx, a, 1, nil)
						call, startErr := r.Start(ctx, a, nil)
						if errors.Join(err, startErr) != nil {
							r.Withdraw(a, 1)
							return
						}
						mu.Lock()
						n++
						mu.Unlock()
						r.End(call, route.Outcome{})
					}
				})
			}
			wg.Wait()
			return n
		}
		rate := func(provider string, perSecond float64) models.Order {
			return models.Order{Action: models.ActionRate, Channel: models.SMS, Provider: provider, PerSecond: perSecond, Reason: "r"}
		}
		for _, tt := range []struct {
			name string
			do   func()
			want int
		}{
			{"the settings", func() {}, 10},
			{"the channel", func() { c.apply(t, rate("", 2)) }, 2},
			{"the provider", func() { c.apply(t, rate("mock", 4)) }, 4},
			{"another provider", func() { c.apply(t, rate("twilio", 7)) }, 4},
			{"the channel again", func() { c.Apply(&models.Record{Key: []byte("rate/sms/provider/mock")}) }, 2},
			{"the settings again", func() { time.Sleep(time.Hour) }, 10},
		} {
			tt.do()
			if n := starts(); n < 10*tt.want-1 || n > 10*tt.want+2 {
				t.Errorf("%s: %d calls in 10 seconds, want %d", tt.name, n, 10*tt.want)
			}
		}
	})
}

// certain is a lease that nobody disputes.
type certain struct{}

func (certain) Await(context.Context) error   { return nil }
func (certain) Yield(wait func() error) error { return wait() }
