package chaos_test

import (
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/models"
	"messaging-worker/internal/providers/fake"
	"messaging-worker/test/stage"
)

const (
	twilioAccount = "AC00000000000000000000000000000001"
	twilioToken   = "token"
)

// twilio is a fake that can go away and come back on its port.
type twilio struct {
	*fake.Server

	address string
	server  *http.Server
	fault   atomic.Value // fake.Fault: what all calls suffer
}

func startTwilio(t *testing.T) *twilio {
	t.Helper()
	f := &twilio{Server: fake.Twilio(twilioAccount, twilioAccount, twilioToken), address: freeAddress(t)}
	f.fault.Store(fake.Fault(""))
	f.Next = func(int) fake.Fault { return f.fault.Load().(fake.Fault) }
	f.Latency = 20 * time.Millisecond
	f.open(t)
	t.Cleanup(func() { _ = f.server.Close() })
	return f
}

func (f *twilio) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", f.address)
	check(t, err)
	f.server = &http.Server{Handler: f.Server}
	go func() { _ = f.server.Serve(l) }()
}

func (f *twilio) settings(extra map[string]string) map[string]string {
	env := map[string]string{
		"SMS_PROVIDER": "twilio", "TWILIO_BASE_URL": "http://" + f.address,
		"TWILIO_ACCOUNT_SID": twilioAccount, "TWILIO_AUTH_TOKEN": twilioToken, "LOG_LEVEL": "info",
		"WORKER_CONCURRENCY": "50",
	}
	if long() { // the defaults
		maps.Copy(env, map[string]string{"BASE_BACKOFF_SECONDS": "10", "MAX_BACKOFF_SECONDS": "120", "PROVIDER_TIMEOUT_SECONDS": "30"})
	} else {
		env["BREAKER_OPEN_SECONDS"], env["PROVIDER_TIMEOUT_SECONDS"] = "1", "3"
	}
	maps.Copy(env, extra)
	return env
}

// outages are the ways in which a provider goes away, and how each ends.
var outages = map[string]struct{ leave, comeBack func(*testing.T, *twilio) }{
	"port closed": {
		func(_ *testing.T, f *twilio) { _ = f.server.Close() },
		func(t *testing.T, f *twilio) { t.Helper(); f.open(t) },
	},
	"503 to everything": suffering(fake.Unavailable),
	"hanging":           suffering(fake.HangBefore),
	"token refused":     suffering(fake.Unauthorize),
}

func suffering(fault fake.Fault) struct{ leave, comeBack func(*testing.T, *twilio) } {
	return struct{ leave, comeBack func(*testing.T, *twilio) }{
		func(_ *testing.T, f *twilio) { f.fault.Store(fault) },
		func(_ *testing.T, f *twilio) { f.fault.Store(fake.Fault("")) },
	}
}

// The provider is away for a while, under traffic and under nearly none: with
// the default attempts nothing is dead-lettered and nothing lost, and
// deliveries go on soon after its return.
func TestProviderOutage(t *testing.T) {
	t.Parallel()
	paces := map[string]time.Duration{
		"busy": time.Duration(pick(25, 5)) * time.Millisecond, "quiet": time.Duration(pick(1, 5)) * time.Second,
	}
	for name := range outages {
		for pace, every := range paces {
			t.Run(name+", "+pace, func(t *testing.T) {
				t.Parallel()
				if letters := outage(t, name, every, nil); letters != 0 {
					t.Errorf("%d dead letters", letters)
				}
			})
		}
	}
}

// Without the breaker an outage costs messages: for the record, and as proof
// that the test above can fail.
func TestProviderOutageWithoutBreaker(t *testing.T) {
	t.Parallel()
	for name := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !long() && name != "port closed" {
				t.Skip("one will do in short")
			}
			letters := outage(t, name, time.Duration(pick(25, 5))*time.Millisecond, map[string]string{"BREAKER_FAILURES": "0"})
			// Hanging calls may hold all slots for the whole outage, and refused
			// credentials pause the calls of a worker without a breaker too.
			if letters == 0 && name != "hanging" && name != "token refused" {
				t.Error("no dead letters")
			}
		})
	}
}

// outage lets a provider go away and come back while a message comes every so
// often, and returns how many became dead letters. All others are sent.
func outage(t *testing.T, name string, every time.Duration, extra map[string]string) (letters int) {
	t.Helper()
	f := startTwilio(t)
	s := stage.New(t, models.SMS, stage.Options{Partitions: 4, Timeout: timeout()})
	w := s.Work(f.settings(extra))
	w.WaitReady(http.StatusOK)
	stop := trickle(t, s, every, 1, func() map[string]any { return nil })
	stage.Eventually(t, func() string {
		if len(f.Ledger()) == 0 {
			return "nothing is delivered"
		}
		return ""
	})
	outages[name].leave(t, f)
	gone := time.Now()
	if extra == nil {
		stage.Eventually(t, func() string {
			if _, body := w.Get("/healthz/ready"); !strings.Contains(body, `"breaker":{"status":"unavailable"`) {
				return "readiness does not name the breaker: " + body
			}
			return ""
		})
	}
	time.Sleep(time.Until(gone.Add(time.Duration(pick(5, 60)) * time.Second))) // the outage itself
	outages[name].comeBack(t, f)
	back := time.Now()
	ids := stop()
	s.Committed()
	events := s.Events(len(ids))
	for id := range ids {
		switch n := len(events[id]); {
		case n > 0 && events[id][n-1].EventType == models.EventSent:
		case n > 0 && events[id][n-1].EventType == models.EventFailed:
			letters++
		default:
			t.Errorf("%s: %s", id, stage.Sequence(events[id]))
		}
	}
	first := time.Duration(-1)
	for _, a := range f.Ledger() {
		if a.At.After(back) {
			first = a.At.Sub(back)
			break
		}
	}
	t.Logf("away for %v; first delivery %v after the return; of %d messages %d dead letters",
		back.Sub(gone).Round(time.Second), first.Round(time.Millisecond), len(ids), letters)
	bound := 7 * time.Second // BREAKER_OPEN_SECONDS and two
	if name == "token refused" {
		bound += back.Sub(gone) // the wait for the next try is as long as all before it
	}
	// In short the machine's own pauses would be half of what is measured.
	if extra == nil && long() && (first < 0 || first > bound) {
		t.Errorf("first delivery %v after the return, want at most %v", first, bound)
	}
	w.WaitReady(http.StatusOK)
	return letters
}

// trickle puts n messages with such edits every so often until it is stopped.
// Stop returns their ids.
func trickle(t *testing.T, s *stage.Stage, every time.Duration, n int, edits func() map[string]any) (stop func() map[string]bool) {
	t.Helper()
	ids, done := map[string]bool{}, make(chan struct{})
	var putting sync.WaitGroup
	putting.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			for range n {
				topic, id := s.TopicInTurn(len(ids)), stage.NewID()
				ids[id] = true
				s.Client.Produce(s.Ctx, &kgo.Record{
					Topic: topic, Key: []byte(id), Value: stage.Request(s.Channel, id, edits()),
				}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("produce a request: %v", err)
					}
				})
			}
			select {
			case <-ticker.C:
			case <-done:
				return
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(done)
		putting.Wait()
		if err := s.Client.Flush(s.Ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end) // of a test that fails in the middle
	return func() map[string]bool {
		end()
		return ids
	}
}
