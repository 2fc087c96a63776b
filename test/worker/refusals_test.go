package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// blocked is a refusal for good that nothing explains.
func blocked() *common.Failure {
	f := common.Permanent(errors.New("http 400"))
	f.Unexplained = "http 400 (Twilio 99999)"
	return f
}

// unknownUser is a recipient's own refusal.
func unknownUser() *common.Failure { return common.Permanent(errors.New("smtp 550 no such user")) }

// refusing is a worker with a breaker whose provider answers as a function
// says. It is used in a bubble.
type refusing struct {
	*ledger

	route   *route.Route
	options worker.Options
	probe   func() error // nil: all is well

	mu    sync.Mutex
	calls int
	runs  sync.WaitGroup
}

func newRefusing(t *testing.T, concurrency, refusals int) *refusing {
	t.Helper()
	w := &refusing{ledger: &ledger{}}
	w.route = route.New(route.Options{Concurrency: concurrency, Breaker: route.Breaker{
		Failures: 5, Refusals: refusals, OpenFor: 5 * time.Second, CallTimeout: 30 * time.Second,
		Probe: func(context.Context) error {
			if w.probe == nil {
				return nil
			}
			return w.probe()
		},
	}})
	w.options = worker.Options{
		Channel: models.SMS, MaxAttempts: 3, Backoff: worker.Backoff{Base: 10 * time.Second, Max: time.Minute},
		CallTimeout: 30 * time.Second, RetryAfterMax: time.Minute,
	}
	return w
}

// give has the worker handle a message whose calls are answered so. A nil
// failure is an acceptance.
func (w *refusing) give(ctx context.Context, c *lease, answer func() *common.Failure) {
	e := worker.New(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
		w.mu.Lock()
		w.calls++
		w.mu.Unlock()
		if f := answer(); f != nil {
			return models.ProviderResponse{Status: models.StatusRejected, Code: 400}, f
		}
		return accepted()
	}}, w.ledger, w.route, w.options)
	w.runs.Go(func() { _ = e.Handle(lifetime.New(ctx), record(), message.Progress{}, c) })
}

func (w *refusing) counts() (letters, calls int) {
	w.ledger.mu.Lock()
	letters = len(w.letters)
	w.ledger.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return letters, w.calls
}

// An account that is blocked, though its probes are well, costs fewer messages
// than BREAKER_REFUSALS, however many calls were under way, for however long,
// and then a call each time that the breaker looks. Once it is mended,
// everybody else's message is sent.
func TestBlockedAccountCostsFewMessages(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 10, 50} {
		for _, atMostOnce := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d at once, at most once %v", concurrency, atMostOnce), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const messages, lasts = 200, 10 * time.Minute
					w, start := newRefusing(t, concurrency, 10), time.Now()
					stop := running(t, w.route)
					for i := range messages {
						c := &lease{}
						if atMostOnce {
							c.commit = func(context.Context) error { return nil }
						}
						w.give(t.Context(), c, func() *common.Failure {
							time.Sleep(time.Duration(i%7) * 100 * time.Millisecond) // they end in any order
							if time.Since(start) < lasts {
								return blocked()
							}
							return nil
						})
					}
					time.Sleep(lasts - time.Second)
					letters, calls := w.counts()
					if letters > 9 {
						t.Errorf("%d dead letters, want fewer than 10", letters)
					}
					if most := 10 + concurrency + int(lasts/(5*time.Second)) + 2; calls > most {
						t.Errorf("%d calls in ten minutes, want at most %d", calls, most)
					}
					s, _, reason := w.route.Breaker()
					if s == route.Closed || !strings.Contains(reason, "http 400 (Twilio 99999)") {
						t.Errorf("the breaker is %v for %q, want a reason that names the answer", s, reason)
					}
					w.runs.Wait()
					for time.Since(start) < lasts+2*time.Minute {
						if s, _, _ = w.route.Breaker(); s == route.Closed {
							break
						}
						time.Sleep(time.Second)
					}
					after, _ := w.counts()
					if sent := strings.Count(w.String(), "sent"); s != route.Closed || after != letters || sent != messages-letters {
						t.Errorf("afterwards the breaker is %v, %d dead letters, %d sent", s, after, sent)
					}
					stop()
				})
			})
		}
	}
}

// A refusal that is not the message's spends none of its attempts: the retry
// takes it back, and the same number is published again as a further run.
func TestRefusalOfUsSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, start := newRefusing(t, 4, 1), time.Now()
		w.options.MaxAttempts = 1
		stop := running(t, w.route)
		w.give(t.Context(), &lease{}, func() *common.Failure {
			if time.Since(start) < 7*time.Second {
				return blocked()
			}
			return nil
		})
		w.runs.Wait()
		stop()
		want := "queued 0, attempt 1, retry 1, attempt 1, retry 1, attempt 1, retry 1, attempt 1, sent 1"
		if got := w.String(); got != want {
			t.Fatalf("events: %s\nwant:   %s", got, want)
		}
		for i, run := range map[int]string{2: "1", 4: "2", 6: "3"} {
			ev := w.events[i]
			if ev.Error != "transient error: http 400" || ev.ProviderResponse.Status != models.StatusUnavailable || ev.ProviderResponse.Meta[models.MetaNotCalled] != run || w.events[i+1].Run != i/2+1 {
				t.Errorf("event %d: %+v %+v, then run %d", i, ev, ev.ProviderResponse, w.events[i+1].Run)
			}
		}
	})
}

// What breaks a row of refusals, and what does not.
func TestRowOfRefusals(t *testing.T) {
	t.Parallel()
	greylisted := func() *common.Failure { return common.Transient(errors.New("smtp 451 later")) }
	someoneTaken := func() *common.Failure {
		f := unknownUser()
		f.Refused, f.Open = []int{}, []int{0}
		f.Class = models.FailureTransient
		return f
	}
	tests := []struct {
		name    string
		between func() *common.Failure // after each third refusal; nil: nothing
		pauses  bool
	}{
		{"nothing between", nil, true},
		{"acceptances", func() *common.Failure { return nil }, false},
		{"recipients that do not exist", unknownUser, false},
		{"grey lists", greylisted, true},
		{"who comes later", someoneTaken, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newRefusing(t, 1, 4)
				w.probe = func() error { return errors.New("http 503") }
				stop := running(t, w.route)
				ctx, end := context.WithCancel(t.Context())
				for i := range 30 {
					w.give(ctx, &lease{}, blocked)
					synctest.Wait()
					if i%3 == 2 && tt.between != nil {
						w.give(ctx, &lease{}, tt.between)
						synctest.Wait()
					}
				}
				letters, _ := w.counts()
				if s, _, _ := w.route.Breaker(); (s == route.Open) != tt.pauses || tt.pauses && letters > 3 || !tt.pauses && letters < 30 {
					t.Errorf("the breaker is %v after %d dead letters, want paused %v", s, letters, tt.pauses)
				}
				end()
				w.runs.Wait()
				stop()
			})
		})
	}
}

// A list of bad recipients never pauses anybody, and BREAKER_REFUSALS=0 has
// every refusal stand.
func TestRefusalsThatStand(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		refusals int
		answer   func() *common.Failure
	}{"bad recipients": {10, unknownUser}, "off": {0, blocked}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newRefusing(t, 10, tt.refusals)
				stop := running(t, w.route)
				for range 100 {
					w.give(t.Context(), &lease{}, tt.answer)
				}
				w.runs.Wait()
				letters, calls := w.counts()
				if s, _, _ := w.route.Breaker(); s != route.Closed || letters != 100 || calls != 100 {
					t.Errorf("the breaker is %v after %d calls and %d dead letters", s, calls, letters)
				}
				stop()
			})
		})
	}
}

// Messages that are refused whenever they are called come to their end, though
// nothing explains it and they are many: others are let in, so it is theirs.
func TestMessagesThatAreAlwaysRefusedEnd(t *testing.T) {
	t.Parallel()
	for refusals, messages := range map[int]int{1: 1, 10: 14} {
		t.Run(fmt.Sprint("after ", refusals), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newRefusing(t, 8, refusals)
				stop := running(t, w.route)
				ctx, end := context.WithCancel(t.Context())
				for range messages {
					w.give(ctx, &lease{}, blocked)
				}
				letters := 0
				for range 2000 { // others come all the time
					w.give(ctx, &lease{}, func() *common.Failure { return nil })
					time.Sleep(5 * time.Second)
					if letters, _ = w.counts(); letters == messages {
						break
					}
				}
				if letters != messages {
					t.Errorf("%d of %d messages have ended", letters, messages)
				}
				end()
				w.runs.Wait()
				stop()
			})
		})
	}
}

// An account that is let in once a minute, as with a quota whose code no table
// has, loses at most as many messages for each time as a row has refusals.
func TestAccountThatIsLetInNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const messages = 120
		w := newRefusing(t, 20, 10)
		stop := running(t, w.route)
		ctx, end := context.WithCancel(t.Context())
		var mu sync.Mutex
		last, letIn := time.Now(), 0
		for range messages {
			w.give(ctx, &lease{}, func() *common.Failure {
				mu.Lock()
				defer mu.Unlock()
				if time.Since(last) < time.Minute {
					return blocked()
				}
				last = time.Now()
				letIn++
				return nil
			})
		}
		time.Sleep(5*time.Minute + 30*time.Second)
		letters, _ := w.counts()
		mu.Lock()
		if letters > 9+10*letIn || letIn < 4 || letIn > 5 {
			t.Errorf("%d dead letters, %d times let in", letters, letIn)
		}
		mu.Unlock()
		end()
		w.runs.Wait()
		stop()
	})
}

// An outage that ends in refusals is both: who is called while few calls are
// let in is not given up.
func TestRefusalsAfterAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, start := newRefusing(t, 20, 10), time.Now()
		stop := running(t, w.route)
		ctx, end := context.WithCancel(t.Context())
		for i := range 100 {
			w.give(ctx, &lease{}, func() *common.Failure {
				if time.Since(start) < 30*time.Second && i%2 == 0 {
					return unreachable()
				}
				return blocked()
			})
		}
		time.Sleep(10 * time.Minute)
		// What the outage itself costs is another matter.
		if letters := strings.Count(w.String(), "dlq permanent"); letters > 9 {
			t.Errorf("%d dead letters, want fewer than 10", letters)
		}
		end()
		w.runs.Wait()
		stop()
	})
}

// overQuota is a refusal that is known to be of us.
func overQuota() *common.Failure {
	f := common.Transient(errors.New("smtp 550 Daily user sending quota exceeded"))
	f.Unreachable, f.AboutUs = true, true
	return f
}

// An account whose quota is spent, though its probes are well, costs no
// message, however many attempts there are and however long it lasts.
func TestSpentQuotaCostsNoMessage(t *testing.T) {
	t.Parallel()
	for _, concurrency := range []int{1, 10, 50} {
		for _, attempts := range []int{1, 3} {
			t.Run(fmt.Sprintf("%d at once, %d attempts", concurrency, attempts), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const messages, lasts = 200, time.Hour
					w, start := newRefusing(t, concurrency, 10), time.Now()
					w.options.MaxAttempts = attempts
					stop := running(t, w.route)
					for i := range messages {
						w.give(t.Context(), &lease{}, func() *common.Failure {
							time.Sleep(time.Duration(i%7) * 100 * time.Millisecond) // they end in any order
							if time.Since(start) < lasts {
								return overQuota()
							}
							return nil
						})
					}
					time.Sleep(lasts - time.Second)
					s, _, reason := w.route.Breaker()
					if s == route.Closed || !strings.Contains(reason, "quota") {
						t.Errorf("the breaker is %v for %q, want a reason that names the answer", s, reason)
					}
					w.runs.Wait()
					if letters, _ := w.counts(); letters > 0 {
						t.Errorf("%d dead letters, want none", letters)
					}
					stop()
				})
			})
		}
	}
}

// A message that alone is answered so comes to its end while others are sent.
func TestMessageThatAloneIsAnsweredLikeUsEnds(t *testing.T) {
	t.Parallel()
	for _, attempts := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			w := newRefusing(t, 10, 10)
			w.options.MaxAttempts = attempts
			stop := running(t, w.route)
			for i := range 100 {
				w.give(t.Context(), &lease{}, func() *common.Failure {
					time.Sleep(50 * time.Millisecond)
					if i%20 == 0 {
						return overQuota()
					}
					return nil
				})
				time.Sleep(time.Second)
			}
			for n, letters := 0, 0; letters < 5; letters, _ = w.counts() { // those left need others to be let in
				if n++; n > 200 {
					t.Fatalf("%d attempts: %d dead letters after %d further messages, want 5", attempts, letters, n)
				}
				w.give(t.Context(), &lease{}, func() *common.Failure { time.Sleep(50 * time.Millisecond); return nil })
				time.Sleep(10 * time.Second)
			}
			w.runs.Wait()
			stop()
		})
	}
}
