package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/orders"
	"messaging-worker/internal/worker"
	"messaging-worker/internal/worker/route"
)

// incident is a bench whose operators give orders.
type incident struct {
	*bench

	t       *testing.T
	board   *orders.Board
	pending worker.Pending
	lease   *lease
	calls   calls
	life    *lifetime.Lifetime
	done    chan error
}

// newIncident makes one whose calls go as send says; nil accepts.
func newIncident(t *testing.T, recipients []string, send func(context.Context, common.Call) (models.ProviderResponse, error)) *incident {
	t.Helper()
	i := &incident{t: t, board: orders.New(models.SMS, nil), lease: &lease{}, done: make(chan error, 1), life: lifetime.New(t.Context())}
	if send == nil {
		send = accept
	}
	c := script{recipients: recipients, send: func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
		i.calls.note(call)
		return send(ctx, call)
	}}
	i.bench = &bench{ledger: &ledger{}, channel: aged{c, time.Now()}, route: route.New(route.Options{Concurrency: 1})}
	i.limit(0)
	return i
}

// limit makes the engine, whose messages expire at that age; never at 0.
func (i *incident) limit(age time.Duration) {
	i.engine = worker.New(i.channel, i.ledger, i.route, worker.Options{
		Channel: models.SMS, Lane: models.LaneNormal, Provider: "mock", MaxAttempts: 3, Backoff: worker.Backoff{Base: time.Hour, Max: time.Hour},
		CallTimeout: 30 * time.Second, RetryAfterMax: 10 * time.Minute, MaxAge: age, Orders: i.board, Pending: &i.pending,
	})
}

func (i *incident) give(o models.Order, length time.Duration) {
	i.t.Helper()
	o.Until, o.Reason = time.Now().Add(length), "wrong campaign"
	value, err := o.Encode()
	if err = errors.Join(err, i.board.Apply([]byte(o.Key()), value)); err != nil {
		i.t.Fatal(err)
	}
}

func (i *incident) lift(o models.Order) {
	i.t.Helper()
	if err := i.board.Apply([]byte(o.Key()), nil); err != nil {
		i.t.Fatal(err)
	}
}

func pauseAll() models.Order { return models.Order{Action: models.ActionPause, Channel: models.SMS} }

func cancelAll() models.Order { return models.Order{Action: models.ActionCancel, Channel: models.SMS} }
func cancelIt() models.Order  { return models.Order{Action: models.ActionCancel, MessageID: "m"} }

// begin has the engine handle the message, and returns once it waits.
func (i *incident) begin(progress message.Progress) {
	go func() { i.done <- i.engine.Handle(i.life, record(), progress, i.lease) }()
	synctest.Wait()
}

// ends wants the message to have come to its end, or to come to it in time, with
// all that it held given back.
func (i *incident) ends() {
	i.t.Helper()
	if err := <-i.done; err != nil {
		i.t.Errorf("Handle = %v, want nil", err)
	}
	if n := i.board.Watching(); n != 0 {
		i.t.Errorf("%d messages are watched at the end, want none", n)
	}
	i.free()
}

// free wants all slots to be free, and all places ahead of them.
func (i *incident) free() {
	i.t.Helper()
	release := occupy(i.t, i.route, 1)
	if n := i.route.InFlight(); n != 1 {
		i.t.Errorf("%d slots taken, want that of this test", n)
	}
	release()
}

func (i *incident) stage() string {
	var stages []string
	for _, u := range i.pending.List() {
		stages = append(stages, u.Stage)
	}
	return strings.Join(stages, ", ")
}

// wantCalls wants these calls to have been made.
func (i *incident) wantCalls(want string) {
	i.t.Helper()
	i.calls.mu.Lock()
	defer i.calls.mu.Unlock()
	if got := strings.Join(i.calls.made, " "); got != want {
		i.t.Errorf("calls %s, want %s", got, want)
	}
}

// event returns the n-th event.
func (i *incident) event(n int) *models.StatusEvent {
	i.mu.Lock()
	defer i.mu.Unlock()
	return &i.events[n]
}

// canceled wants the message's last event to say that it was canceled, with those
// entries of meta.
func (i *incident) canceled(attempt int, status, accepted string) {
	i.t.Helper()
	last := i.events[len(i.events)-1]
	if last.EventType != models.EventCanceled || last.Attempt != attempt || last.Error != "canceled: wrong campaign" || len(i.letters) > 0 {
		i.t.Errorf("at the end %+v and %d dead letters, want canceled with its reason and none", last, len(i.letters))
	}
	resp := models.ProviderResponse{}
	if last.ProviderResponse != nil {
		resp = *last.ProviderResponse
	}
	if resp.Status != status || resp.Meta[models.MetaAcceptedRecipients] != accepted {
		i.t.Errorf("canceled with %+v, want status %q and %q accepted", resp, status, accepted)
	}
}

var one = []string{"+15550001"}

// A message of a paused scope waits, with nothing spent, until the pause is
// lifted or ends.
func TestPausedMessagesWait(t *testing.T) {
	t.Parallel()
	for _, lifted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i := newIncident(t, one, nil)
			i.give(pauseAll(), time.Hour)
			i.begin(message.Progress{})
			time.Sleep(time.Hour - time.Second)
			synctest.Wait()
			i.want(t, "queued 0")
			if got := i.stage(); got != "paused" || i.lease.yields != 1 {
				t.Errorf("its stage is %q and it yields %d times, want paused and once", got, i.lease.yields)
			}
			i.free()
			if lifted {
				i.lift(pauseAll())
			}
			i.ends()
			i.want(t, "queued 0", "attempt 1", "sent 1")
		})
	}
}

// An order is about the messages of its scope, and about no others.
func TestScopesOfOrders(t *testing.T) {
	t.Parallel()
	other := models.Email
	tests := []struct {
		order models.Order
		want  bool
	}{
		{models.Order{Channel: models.SMS}, true},
		{models.Order{Channel: other}, false},
		{models.Order{Channel: models.SMS, Lane: models.LaneNormal}, true},
		{models.Order{Channel: models.SMS, Lane: models.LaneBulk}, false},
		{models.Order{Channel: models.SMS, Tenant: "acme"}, true},
		{models.Order{Channel: models.SMS, Tenant: "other"}, false},
		{models.Order{Channel: models.SMS, Lane: models.LaneBulk, Tenant: "acme"}, false},
		{models.Order{Channel: models.SMS, Provider: "mock"}, true},
		{models.Order{Channel: models.SMS, Provider: "twilio"}, false},
		{models.Order{Channel: models.SMS, Meta: map[string]string{"a": "b"}}, true},
		{models.Order{Channel: models.SMS, Meta: map[string]string{"a": "c"}}, false},
		{models.Order{Channel: models.SMS, Meta: map[string]string{"c": "b"}}, false},
	}
	for _, tt := range tests {
		for _, action := range []models.Action{models.ActionPause, models.ActionCancel} {
			o := tt.order
			if o.Action = action; action == models.ActionCancel && o.Provider != "" {
				continue
			}
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(t, one, nil)
				i.give(o, time.Hour)
				i.begin(message.Progress{})
				want := "queued 0, attempt 1, sent 1"
				switch {
				case tt.want && action == models.ActionPause:
					want = "queued 0"
				case tt.want:
					want = "queued 0, canceled 0"
				}
				if got := i.String(); got != want {
					t.Errorf("with the order %s: %s, want %s", o.Key(), got, want)
				}
				i.ends()
			})
		}
	}
}

// stage is how far a message has come when it is ordered about: it brings it
// there, and says what the ledger has then.
type stage struct {
	name    string
	prepare func(i *incident) // before it begins
	reach   func(i *incident) // after
	free    func(i *incident) // lets it go on
	have    []string
	pending int // the attempt that is published and whose call was not made; 0 for none
}

func stages() []stage {
	var release func()
	var held chan struct{}
	until := func(i *incident) { i.route.Pause(time.Now().Add(time.Minute)) }
	return []stage{
		{name: "waits to be admitted", prepare: until, have: []string{"queued 0"}},
		{
			name:    "waits for its attempt's acknowledgement",
			prepare: func(i *incident) { held = make(chan struct{}); i.held = held },
			free:    func(i *incident) { close(held); i.mu.Lock(); i.held = nil; i.mu.Unlock() },
			have:    []string{"queued 0", "attempt 1"}, pending: 1,
		},
		{
			name:    "waits for a slot",
			prepare: func(i *incident) { release = occupy(i.t, i.route, 1) }, free: func(*incident) { release() },
			have: []string{"queued 0", "attempt 1"}, pending: 1,
		},
		{
			name:    "waits for a slot of a route that is paused",
			prepare: func(i *incident) { release = occupy(i.t, i.route, 1) },
			reach:   func(i *incident) { i.route.Pause(time.Now().Add(time.Minute)) }, free: func(*incident) { release() },
			have: []string{"queued 0", "attempt 1"}, pending: 1,
		},
	}
}

// Whatever a message waits for: paused, an attempt that is published is taken
// back at once, and is made again with its number when the pause ends. Canceled,
// it ends.
func TestOrdersFindAMessageThatWaits(t *testing.T) {
	t.Parallel()
	for n := range stages() {
		for _, order := range []models.Order{pauseAll(), cancelAll(), cancelIt()} {
			for _, atMostOnce := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, %v", stages()[n].name, order.Key(), atMostOnce), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { ordered(t, stages()[n], order, atMostOnce) })
				})
			}
		}
	}
}

func ordered(t *testing.T, s stage, order models.Order, atMostOnce bool) {
	t.Helper()
	i := newIncident(t, one, nil)
	commits := 0
	if atMostOnce {
		i.lease.commit = func(context.Context) error { commits++; return nil }
	}
	s.prepare(i)
	i.begin(message.Progress{})
	if s.reach != nil {
		s.reach(i)
	}
	i.want(t, s.have...)
	i.give(order, time.Hour)
	have := s.have
	if s.pending > 0 {
		have = append(slices.Clone(have), fmt.Sprint("retry ", s.pending))
	}
	if s.name == "waits for its attempt's acknowledgement" {
		s.free(i)
	}
	synctest.Wait()
	if order.Action == models.ActionCancel {
		i.want(t, append(have, "canceled 0")...)
		i.canceled(0, "", "")
	} else {
		i.want(t, have...)
		if got := i.stage(); got != "paused" {
			t.Errorf("its stage is %q, want paused", got)
		}
	}
	if s.pending == 0 && commits > 0 {
		t.Error("committed before an attempt")
	}
	if s.pending > 0 {
		back := i.event(len(s.have))
		meta := back.ProviderResponse.Meta
		if back.ProviderResponse.Status != models.StatusUnknown {
			t.Errorf("taken back with status %q, want %q", back.ProviderResponse.Status, models.StatusUnknown)
		}
		if next, err := time.Parse(time.RFC3339, meta[models.MetaNextAttemptAt]); meta[models.MetaNotCalled] != "1" || err != nil || next.After(time.Now()) {
			t.Errorf("taken back with %v, want not_called and to be due at once", meta)
		}
	}
	if s.free != nil && s.name != "waits for its attempt's acknowledgement" {
		s.free(i)
	}
	if order.Action == models.ActionPause {
		i.free()
		i.lift(order)
		synctest.Wait()
		time.Sleep(time.Minute) // the route's own pause
		i.want(t, append(have, "attempt 1", "sent 1")...)
		if run := i.event(len(have)).Run; s.pending > 0 && run != 2 {
			t.Errorf("run %d of the attempt, want the second", run)
		}
	}
	i.ends()
	want := ""
	if order.Action == models.ActionPause {
		want = "1:[0]"
	}
	i.wantCalls(want)
}

// An order that comes when the slot is granted already is seen by the last look
// before the call: slot and tokens go back.
func TestLastLookBeforeTheCall(t *testing.T) {
	t.Parallel()
	for _, order := range []models.Order{pauseAll(), cancelIt()} {
		synctest.Test(t, func(t *testing.T) {
			i := newIncident(t, one, nil)
			i.lease.await = i.at(2, order) // the call asks after its attempt
			i.begin(message.Progress{})
			i.wantCalls("")
			if n := i.route.InFlight(); n != 0 {
				t.Errorf("%d slots taken after the order, want 0", n)
			}
			if order.Action == models.ActionCancel {
				i.want(t, "queued 0", "attempt 1", "retry 1", "canceled 0")
				i.ends()
				return
			}
			i.want(t, "queued 0", "attempt 1", "retry 1")
			i.lift(order)
			i.ends()
			i.want(t, "queued 0", "attempt 1", "retry 1", "attempt 1", "sent 1")
		})
	}
}

// at returns a lease's Await that gives an order when it is asked that often.
func (i *incident) at(n int, order models.Order) func(context.Context) error {
	asked := 0
	return func(context.Context) error {
		if asked++; asked == n {
			i.give(order, time.Hour)
		}
		return nil
	}
}

// An order that comes when the attempt is admitted already keeps it from being
// published.
func TestLookBeforeTheAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIncident(t, one, nil)
		i.lease.await = i.at(1, pauseAll())
		i.begin(message.Progress{})
		i.want(t, "queued 0")
		i.lift(pauseAll())
		i.ends()
		i.want(t, "queued 0", "attempt 1", "sent 1")
	})
}

// What the provider answered last stays the answer when a later attempt is taken
// back.
func TestAnswerBeforeACancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := newIncident(t, one, func(context.Context, common.Call) (models.ProviderResponse, error) { return fails(transient()) })
		i.begin(message.Progress{})
		release := occupy(t, i.route, 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		i.give(cancelIt(), time.Hour)
		release()
		i.ends()
		i.want(t, "queued 0", "attempt 1", "retry 1", "attempt 2", "retry 2", "canceled 1")
		i.canceled(1, models.StatusUnavailable, "")
	})
}

// A round of which some were called is taken back too: who has the message is not
// called again, and nothing is spent.
func TestOrdersInARound(t *testing.T) {
	t.Parallel()
	for _, order := range []models.Order{pauseAll(), cancelAll()} {
		synctest.Test(t, func(t *testing.T) {
			var i *incident
			i = newIncident(t, []string{"a", "b", "c"}, func(context.Context, common.Call) (models.ProviderResponse, error) {
				if len(i.calls.made) == 1 {
					i.give(order, time.Hour)
					time.Sleep(time.Second) // it is under way and may end
				}
				return accepted()
			})
			i.begin(message.Progress{})
			time.Sleep(2 * time.Second)
			synctest.Wait()
			first := i.calls.made[0][3:4] // of the recipients, whoever it is
			meta := i.event(2).ProviderResponse.Meta
			open := slices.DeleteFunc([]string{"0", "1", "2"}, func(r string) bool { return r == first })
			if meta[models.MetaNotCalled] != "1" || meta[models.MetaOpenRecipients] != strings.Join(open, ",") {
				t.Errorf("taken back with %v, want not_called and all open but %s", meta, first)
			}
			if order.Action == models.ActionCancel {
				i.ends()
				i.want(t, "queued 0", "attempt 1", "retry 1", "canceled 0")
				i.canceled(0, models.StatusPartial, first)
				return
			}
			i.lift(order)
			i.ends()
			i.want(t, "queued 0", "attempt 1", "retry 1", "attempt 1", "sent 1")
			if got := sorted(i.calls.made); !slices.Equal(got, []string{"1:[0]", "1:[1]", "1:[2]"}) {
				t.Errorf("calls %v, want each once", got)
			}
		})
	}
}

// A call that is under way ends, whatever is ordered meanwhile. What it comes to
// counts; only another one is not made.
func TestCallsUnderWayEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		failure error
		paused  []string // by the end of the pause
		cancel  []string
		status  string
	}{
		{"accepted", nil, []string{"queued 0", "attempt 1", "sent 1"}, []string{"queued 0", "attempt 1", "sent 1"}, ""},
		{
			"refused", common.Permanent(errors.New("http 400")),
			[]string{"queued 0", "attempt 1", "dlq permanent 1", "failed 1"},
			[]string{"queued 0", "attempt 1", "dlq permanent 1", "failed 1"},
			"",
		},
		{
			"failed", transient(),
			[]string{"queued 0", "attempt 1", "retry 1", "attempt 2", "sent 2"},
			[]string{"queued 0", "attempt 1", "retry 1", "canceled 1"},
			models.StatusUnavailable,
		},
	}
	for _, tt := range tests {
		for _, order := range []models.Order{pauseAll(), cancelAll()} {
			t.Run(tt.name+" "+order.Key(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					i := newIncident(t, one, func(ctx context.Context, call common.Call) (models.ProviderResponse, error) {
						_ = lifetime.Sleep(ctx, time.Second)
						if call.Attempt == 1 && tt.failure != nil {
							return models.ProviderResponse{Status: models.StatusUnavailable}, tt.failure
						}
						return models.ProviderResponse{Status: models.StatusOK}, ctx.Err()
					})
					i.begin(message.Progress{})
					i.give(order, 5*time.Hour)
					want := tt.paused
					if order.Action == models.ActionCancel {
						want = tt.cancel
						time.Sleep(time.Second)
						synctest.Wait()
						i.want(t, want...) // at once
					}
					i.ends()
					i.want(t, want...)
					if want[len(want)-1] == "canceled 1" {
						i.canceled(1, tt.status, "")
					}
				})
			})
		}
	}
}

// A message is canceled wherever an earlier owner left it, unless all is decided.
func TestCanceledAfterATakeover(t *testing.T) {
	t.Parallel()
	next := func(n int, meta ...string) models.StatusEvent {
		at := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC) // in a bubble it is an hour from now
		return retry(n, append(meta, models.MetaNextAttemptAt, at.Format(time.RFC3339))...)
	}
	tests := []struct {
		name     string
		progress message.Progress
		want     string
		status   string
		accepted string
	}{
		{"new", message.Progress{}, "queued 0, canceled 0", "", ""},
		{"queued", after(of(models.EventQueued, 0)), "canceled 0", "", ""},
		{"an attempt under way", after(of(models.EventAttempt, 2)), "canceled 2", models.StatusUnknown, ""},
		{"an attempt under way of which much is known", checkpointed(1, message.Resolved{Accepted: []int{0, 2}}), "canceled 1", models.StatusPartial, "0,2"},
		{"waits for its next attempt", after(next(1)), "canceled 1", models.StatusUnknown, ""},
		{"waits with somebody accepted", after(next(2, models.MetaOpenRecipients, "1")), "canceled 2", models.StatusPartial, "0,2"},
		{"waits with somebody refused", after(next(2, models.MetaOpenRecipients, "1", models.MetaRefusedRecipients, "0")), "canceled 2", models.StatusPartial, "2"},
		{"waits with all others refused", after(next(2, models.MetaOpenRecipients, "1", models.MetaRefusedRecipients, "0,2")), "canceled 2", models.StatusUnknown, ""},
		{"its attempt was taken back", after(next(1, models.MetaNotCalled, "1")), "canceled 0", "", ""},
		{"taken back with somebody accepted", after(next(1, models.MetaNotCalled, "1", models.MetaOpenRecipients, "0")), "canceled 0", models.StatusPartial, "1,2"},
		{"its last attempt was under way", after(of(models.EventAttempt, 3)), "dlq unknown 3, failed 3", "", ""},
		{"all were accepted", checkpointed(1, message.Resolved{Accepted: []int{0, 1, 2}}), "sent 1", "", ""},
		{"nobody is open", checkpointed(1, message.Resolved{Accepted: []int{0, 1}, Refused: []int{2}}), "dlq permanent 1, failed 1", "", ""},
	}
	for _, tt := range tests {
		for _, later := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(t, []string{"a", "b", "c"}, nil)
				release := occupy(t, i.route, 1)
				if later == 0 {
					i.give(cancelIt(), time.Hour)
				}
				i.begin(tt.progress)
				if later > 0 {
					i.give(cancelIt(), time.Hour)
				}
				synctest.Wait()
				release()
				i.ends()
				i.wantCalls("")
				if got := i.String(); got != tt.want && later == 0 || !strings.HasSuffix(got, tt.want[strings.LastIndex(tt.want, ",")+1:]) {
					t.Errorf("%s, then canceled: %s, want %s", tt.name, got, tt.want)
				}
				if strings.Contains(tt.want, "canceled") && later == 0 {
					last := i.events[len(i.events)-1]
					i.canceled(last.Attempt, tt.status, tt.accepted)
				}
			})
		}
	}
}

// While it is in doubt whether the record is still ours, another worker may call
// its recipients: the message is canceled once that is certain, or left to the
// other.
func TestCancelInDoubt(t *testing.T) {
	t.Parallel()
	for _, ours := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i, certain := newIncident(t, one, nil), make(chan struct{})
			i.lease.await = func(ctx context.Context) error {
				select {
				case <-certain:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			i.begin(message.Progress{})
			i.give(cancelIt(), time.Hour)
			synctest.Wait()
			i.want(t, "queued 0")
			if ours {
				close(certain)
				i.ends()
				i.want(t, "queued 0", "canceled 0")
				return
			}
			i.life.Cut(errors.New("lost"))
			if err := <-i.done; err == nil || i.String() != "queued 0" {
				t.Errorf("Handle = %v after %s, want the cause and no end", err, i)
			}
		})
	}
}

// A pause does not keep a message from expiring, nor a worker from stopping.
func TestPausedMessagesEnd(t *testing.T) {
	t.Parallel()
	t.Run("by age", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			i := newIncident(t, one, nil)
			i.limit(time.Minute)
			i.give(pauseAll(), time.Hour)
			i.begin(message.Progress{})
			i.ends()
			i.want(t, "queued 0", "dlq permanent 1", "failed 0")
		})
	})
	t.Run("by age, after it was taken back", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			i := newIncident(t, one, nil)
			i.limit(time.Minute)
			release := occupy(t, i.route, 1)
			i.begin(message.Progress{})
			i.give(pauseAll(), time.Hour)
			release()
			i.ends()
			i.want(t, "queued 0", "attempt 1", "retry 1", "dlq permanent 1", "failed 0")
		})
	})
	t.Run("by a cancel", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			i := newIncident(t, one, nil)
			i.give(pauseAll(), time.Hour)
			i.begin(message.Progress{})
			i.give(cancelAll(), time.Hour)
			synctest.Wait()
			i.want(t, "queued 0", "canceled 0")
			i.ends()
		})
	})
	for name, tt := range map[string]struct {
		commit func(context.Context) error
		failed bool
		want   string
	}{
		"by a stop":                            {nil, true, "queued 0"},
		"by a stop, at most once":              {func(context.Context) error { return errors.New("not passed") }, true, "queued 0"},
		"by a stop, passed by another message": {func(context.Context) error { return nil }, false, "queued 0, dlq transient 1, failed 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(t, one, nil)
				i.lease.commit = tt.commit
				i.give(pauseAll(), time.Hour)
				i.begin(message.Progress{})
				i.life.Stop(nil)
				if err := <-i.done; (err != nil) != tt.failed {
					t.Errorf("Handle = %v, want an error: %v", err, tt.failed)
				}
				i.want(t, tt.want)
			})
		})
	}
}

// Orders that come and go at any moment, about many messages at once: each is
// called once and sent, or canceled and not called.
func TestOrdersAtAnyMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const messages = 200
		var mu sync.Mutex
		called := 0
		i := newIncident(t, one, func(ctx context.Context, _ common.Call) (models.ProviderResponse, error) {
			mu.Lock()
			called++
			mu.Unlock()
			_ = lifetime.Sleep(ctx, 7*time.Millisecond)
			return accepted()
		})
		i.delay = time.Millisecond
		var wg sync.WaitGroup
		for n := range messages {
			wg.Go(func() {
				time.Sleep(time.Duration(n*n%997) * time.Millisecond)
				if err := i.engine.Handle(i.life, record(), message.Progress{}, &lease{}); err != nil {
					t.Errorf("Handle = %v, want nil", err)
				}
			})
		}
		for n := range 60 {
			time.Sleep(time.Duration(n%13) * time.Millisecond)
			i.give(pauseAll(), time.Duration(n%11)*time.Millisecond)
		}
		i.give(cancelIt(), time.Hour)
		wg.Wait()
		ended := map[models.EventType]int{}
		for _, ev := range i.events {
			ended[ev.EventType]++
		}
		sent, canceled := ended[models.EventSent], ended[models.EventCanceled]
		if sent != called || sent+canceled != messages || sent == 0 || canceled == 0 {
			t.Errorf("%d sent by %d calls and %d canceled of %d, want each one of them", sent, called, canceled, messages)
		}
		i.free()
	})
}
