package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// At most once, a stop finds a message at any of its waits. One that no commit
// has passed is left as it is. One that nobody reads again comes to its end:
// it is called within the grace or gets a dead letter, and nobody is called
// twice.
func TestStopAtMostOnce(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	began := func(context.Context) error { return nil }
	leftBehind := func(ctx context.Context) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return nil
	}
	tests := []struct {
		name    string
		begin   func(context.Context) error
		prepare func(b *bench)
		fail    func(b *bench) // at the first call
		wantErr bool
		want    []string
	}{
		{
			"no commit has passed it", leftBehind,
			func(b *bench) { b.route.Pause(time.Now().Add(hour)) }, nil, true,
			[]string{"queued 0"},
		},
		{
			"passed before its first attempt", began,
			func(b *bench) { b.route.Pause(time.Now().Add(hour)) }, nil, false,
			[]string{"queued 0", "dlq transient 1", "failed 0"},
		},
		{
			"called within the grace", began,
			func(b *bench) { b.route.Pause(time.Now().Add(time.Minute + time.Second/2)) }, nil,
			false,
			[]string{"queued 0", "attempt 1", "sent 1"},
		},
		{
			"waits for its second attempt", leftBehind, nil,
			func(b *bench) { b.route.Pause(time.Now().Add(hour)) },
			false,
			[]string{"queued 0", "attempt 1", "retry 1", "dlq transient 1", "failed 1"},
		},
		{
			"second attempt within the grace", leftBehind, nil,
			func(b *bench) { b.route.Pause(time.Now().Add(time.Minute + time.Second/2)) },
			false,
			[]string{"queued 0", "attempt 1", "retry 1", "attempt 2", "sent 2"},
		},
		{
			"its attempt is not acknowledged in time", leftBehind,
			func(b *bench) {
				b.held = make(chan struct{})
				time.AfterFunc(time.Minute+10*time.Second, func() { close(b.held) })
			}, nil,
			false,
			[]string{"queued 0", "attempt 1", "dlq transient 1", "failed 1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var b *bench
				b = newBench(script{recipients: []string{"a"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
					if call.Attempt == 1 && tt.fail != nil {
						tt.fail(b)
						return fails(transient())
					}
					return accepted()
				}}, 1)
				if tt.prepare != nil {
					tt.prepare(b)
				}
				if err := stopped(t, b, time.Minute, tt.begin); (err != nil) != tt.wantErr {
					t.Errorf("Handle = %v, want an error: %v", err, tt.wantErr)
				}
				b.want(t, tt.want...)
				if n := b.route.InFlight(); n != 0 {
					t.Errorf("%d slots taken at the end, want 0", n)
				}
			})
		})
	}
}

// A stop that comes before the handler has begun is no different.
func TestStoppedBeforeHandleAtMostOnce(t *testing.T) {
	t.Parallel()
	for refusal, want := range map[error]string{nil: "queued 0, attempt 1, sent 1", errors.New("not committed"): ""} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(script{recipients: []string{"a"}, send: accept}, 1)
			life := lifetime.New(t.Context())
			life.Stop(nil)
			err := b.engine.Handle(life, record(), message.Progress{}, &lease{commit: func(context.Context) error { return refusal }})
			if (err != nil) != (want == "") || b.String() != want {
				t.Errorf("Handle = %v after %q, want %q", err, b.String(), want)
			}
		})
	}
}

// One recipient has accepted, the other waits for its second attempt: the stop
// gives up the other and calls the first no more.
func TestStopCallsNobodyAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := map[int]int{}
		var b *bench
		b = newBench(script{recipients: []string{"a", "b"}, send: func(_ context.Context, call common.Call) (models.ProviderResponse, error) {
			calls[call.Recipients[0]]++
			if call.Recipients[0] == 1 {
				b.route.Pause(time.Now().Add(time.Hour))
				return fails(transient())
			}
			return accepted()
		}}, 1)
		if err := stopped(t, b, time.Minute, func(context.Context) error { return nil }); err != nil {
			t.Errorf("Handle = %v, want nil", err)
		}
		if calls[0] > 1 || calls[1] != 1 {
			t.Errorf("calls by recipient: %v, want the second called once, nobody twice", calls)
		}
		if n := len(b.letters); n != 1 {
			t.Errorf("%d dead letters, want 1: %s", n, b)
		}
	})
}
