package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker"
)

// of is an event of earlier owners.
func of(kind models.EventType, attempt int) models.StatusEvent {
	return models.StatusEvent{EventType: kind, Attempt: attempt}
}

// run is a later run of an attempt.
func run(attempt, n int) models.StatusEvent {
	return models.StatusEvent{EventType: models.EventAttempt, Attempt: attempt, Run: n}
}

// retry is one with that meta: names and values in turn.
func retry(attempt int, meta ...string) models.StatusEvent {
	ev := of(models.EventRetry, attempt)
	ev.ProviderResponse = &models.ProviderResponse{Meta: map[string]string{}}
	for pair := range slices.Chunk(meta, 2) {
		ev.ProviderResponse.Meta[pair[0]] = pair[1]
	}
	return ev
}

// after is what the journal hands over after events.
func after(events ...models.StatusEvent) message.Progress {
	var p message.Progress
	for _, ev := range events {
		p.Apply(&ev)
	}
	return p
}

// checkpointed is an attempt under way of which a commit tells more.
func checkpointed(attempt int, r message.Resolved) message.Progress {
	p := after(of(models.EventAttempt, attempt))
	p.Checkpoint(r)
	return p
}

// A message goes on where earlier owners left it, and repeats no event.
func TestGoingOn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		progress message.Progress
		want     []string
		calls    string
	}{
		{"new", message.Progress{}, []string{"queued 0", "attempt 1", "sent 1"}, "1:[0] 1:[1] 1:[2]"},
		{"queued", after(of(models.EventQueued, 0)), []string{"attempt 1", "sent 1"}, "1:[0] 1:[1] 1:[2]"},
		{"under way", after(of(models.EventAttempt, 1)), []string{"attempt 2", "sent 2"}, "2:[0] 2:[1] 2:[2]"},
		{"under way for the last time", after(of(models.EventAttempt, 3)), []string{"dlq unknown 3", "failed 3"}, ""},
		{"waits for one recipient", after(retry(1, models.MetaOpenRecipients, "1")), []string{"attempt 2", "sent 2"}, "2:[1]"},
		{"one was refused before", after(retry(1, models.MetaOpenRecipients, "1", models.MetaRefusedRecipients, "2")), []string{"attempt 2", "dlq permanent 2", "failed 2"}, "2:[1]"},
		{"one cannot be told", after(retry(1, models.MetaOpenRecipients, "1", models.MetaAssumedRecipients, "0")), []string{"attempt 2", "dlq unknown 2", "failed 2"}, "2:[1]"},
		{"two of a round were known to be accepted", checkpointed(1, message.Resolved{Accepted: []int{0, 2}}), []string{"attempt 2", "sent 2"}, "2:[1]"},
		{"one of a round was refused", checkpointed(1, message.Resolved{Accepted: []int{0}, Refused: []int{2}}), []string{"attempt 2", "dlq permanent 2", "failed 2"}, "2:[1]"},
		{"all of a round were accepted", checkpointed(3, message.Resolved{Accepted: []int{0, 1, 2}}), []string{"sent 3"}, ""},
		{"nobody of a round is open", checkpointed(1, message.Resolved{Accepted: []int{0, 1}, Refused: []int{2}}), []string{"dlq permanent 1", "failed 1"}, ""},
		{"numbers that the message has not", checkpointed(1, message.Resolved{Accepted: []int{1, 2, 3, 1 << 20}, Refused: []int{-1}}), []string{"attempt 2", "sent 2"}, "2:[0]"},
		{"taken back before its first call", after(retry(1, models.MetaNotCalled, "1")), []string{"attempt 1", "sent 1"}, "1:[0] 1:[1] 1:[2]"},
		{"its first round was taken back in part", after(run(1, 2), retry(1, models.MetaNotCalled, "2", models.MetaOpenRecipients, "1")), []string{"attempt 1", "sent 1"}, "1:[1]"},
		{"its last attempt was taken back", after(retry(3, models.MetaNotCalled, "1", models.MetaOpenRecipients, "1")), []string{"attempt 3", "sent 3"}, "3:[1]"},
		{"the budget was lowered meanwhile", after(retry(5, models.MetaOpenRecipients, "1")), []string{"dlq transient 5", "failed 5"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var c calls
				b := newBench(script{recipients: []string{"a", "b", "c"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
					c.note(call)
					return accepted()
				}}, 1)
				resume(t, b.engine, tt.progress)
				b.want(t, tt.want...)
				if got := strings.Join(sorted(c.made), " "); got != tt.calls {
					t.Errorf("calls %s, want %s", got, tt.calls)
				}
			})
		})
	}
}

func TestTheRestOfTheWaitIsWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var due time.Time
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			if !time.Now().Equal(due) {
				t.Errorf("the call is made at %v, want %v", time.Now(), due)
			}
			return accepted()
		}}, 1)
		for _, meta := range [][]string{nil, {models.MetaNotCalled, "1"}} {
			due = time.Now().Add(42 * time.Second)
			meta = append(meta, models.MetaNextAttemptAt, due.Format(time.RFC3339Nano))
			resume(t, b.engine, after(retry(1, meta...)))
		}
		b.want(t, "attempt 2", "sent 2", "attempt 1", "sent 1")

		life := lifetime.New(t.Context())
		life.Stop(errors.New("stopping"))
		if err := b.engine.Handle(life, record(), after(retry(1, models.MetaNextAttemptAt, time.Now().Add(time.Hour).Format(time.RFC3339Nano))), &lease{}); err == nil {
			t.Error("Handle = nil for a message that still waits when the worker stops")
		}
	})
}

// While calls of a round are under way, the lease knows who needs none any
// more; once a retry event says so, it may forget.
func TestLeaseKnowsWhoIsResolved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a", "b", "c", "d"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			i := call.Recipients[0]
			time.Sleep(time.Duration(i+1) * time.Second)
			switch {
			case i == 1 && call.Attempt == 1:
				return fails(transient())
			case i == 2:
				return fails(common.Permanent(errors.New("http 400")))
			}
			return accepted()
		}}, 4)
		c := &lease{}
		if err := b.engine.Handle(lifetime.New(t.Context()), record(), message.Progress{}, c); err != nil {
			t.Fatal(err)
		}
		want := []message.Resolved{
			{Accepted: []int{0}},                    // b's failure is no news
			{Accepted: []int{0}, Refused: []int{2}}, // d is still under way
			{},                                      // the retry is in Kafka; the second round has one call
		}
		if diff := cmp.Diff(want, c.settled); diff != "" {
			t.Errorf("settled (-want +got):\n%s", diff)
		}
		b.want(t, "queued 0", "attempt 1", "retry 1", "attempt 2", "dlq permanent 2", "failed 2")
	})
}

// In doubt whether the record is ours, nothing is published and nobody
// called; a message that is about to be called then waits too.
func TestNoCallInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			if after := time.Since(begin); after != 2*time.Hour {
				t.Errorf("called after %v, want after two hours of doubt", after)
			}
			return accepted()
		}}, 1)
		err := b.engine.Handle(lifetime.New(t.Context()), record(), message.Progress{}, &lease{await: func(context.Context) error {
			time.Sleep(time.Hour)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		b.want(t, "queued 0", "attempt 1", "sent 1")

		lost, doubt := errors.New("partition lost"), 0
		life := lifetime.New(t.Context())
		err = b.engine.Handle(life, record(), message.Progress{}, &lease{await: func(ctx context.Context) error {
			if doubt++; doubt == 2 { // before the call, its attempt is published
				life.Cut(lost)
				return context.Cause(ctx)
			}
			return nil
		}})
		if !errors.Is(err, lost) || b.route.InFlight() != 0 {
			t.Errorf("Handle = %v with %d slots taken, want that the partition is lost and none", err, b.route.InFlight())
		}
	})
}

// AMBIGUOUS_OUTCOME=dlq gives up on an attempt that was under way when its
// owner ended, and on no other.
func TestInterruptedAttemptIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: accept}, 1)
		b.engine = worker.New(b.channel, b.ledger, b.route, worker.Options{
			Channel: models.SMS, MaxAttempts: 3, CallTimeout: time.Second, AmbiguousToDLQ: true,
		})
		for _, progress := range []message.Progress{after(of(models.EventAttempt, 1)), after(retry(1)), after(retry(1, models.MetaNotCalled, "1"))} {
			resume(t, b.engine, progress)
		}
		b.want(t, "dlq unknown 1", "failed 1", "attempt 2", "sent 2", "attempt 1", "sent 1")
	})
}

// An answer that cannot be read takes those for accepted whom it is about, and
// nobody else of its call: who was refused is refused, and who was told to come
// later is called again.
func TestOnlyTheUnreadablyAnsweredAreTakenForAccepted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rounds [][]int
		b := newBench(script{recipients: []string{"a", "b", "c", "d"}, units: [][]int{{0, 1, 2, 3}}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			rounds = append(rounds, call.Recipients)
			if len(rounds) > 1 {
				return accepted()
			}
			f := transient()
			f.Accepted, f.Refused, f.Open, f.Doubtful = true, []int{0}, []int{2}, []int{1}
			return fails(f)
		}}, 1)
		b.handle(t)
		b.want(t, "queued 0", "attempt 1", "retry 1", "attempt 2", "dlq unknown 2", "failed 2")
		if diff := cmp.Diff([][]int{{0, 1, 2, 3}, {2}}, rounds); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		meta := b.events[2].ProviderResponse.Meta
		if meta[models.MetaOpenRecipients] != "2" || meta[models.MetaRefusedRecipients] != "0" || meta[models.MetaAssumedRecipients] != "1" {
			t.Errorf("the retry's meta %v, want 2 open, 0 refused, 1 assumed", meta)
		}
	})
}
