package worker_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// narrow is a provider that takes few calls at once: one more is not made, and
// the route is told. Its calls take most of what a call may.
type narrow struct {
	takes int
	route *route.Route

	mu    sync.Mutex
	under int
	not   int // calls that were not made
}

func (n *narrow) send(ctx context.Context, _ common.Call) (models.ProviderResponse, error) {
	n.mu.Lock()
	if n.under >= n.takes {
		n.not++
		n.mu.Unlock()
		n.route.Bound(n.takes)
		return fails(notCalled())
	}
	n.under++
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.under--
	}()
	select {
	case <-time.After(20 * time.Second):
		return accepted()
	case <-ctx.Done():
		return fails(transient())
	}
}

// A call that the provider cannot take at the moment is made later, in the same
// attempt: nothing is spent or told, however long the wait is, and it holds no
// slot meanwhile.
func TestCallThatIsNotMadeIsMadeLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const messages, concurrency = 60, 50
		n := &narrow{takes: 2}
		b := newBench(script{recipients: []string{"a"}, send: n.send}, concurrency)
		n.route = b.route
		wait := handling(t, b.engine, messages)
		time.Sleep(time.Second)
		if got := b.route.InFlight(); got != 2 {
			t.Errorf("%d calls under way, want the 2 that the provider takes", got)
		}
		wait()
		kinds := map[string]int{}
		for _, entry := range b.entries {
			kinds[entry]++
		}
		if len(kinds) != 3 || kinds["queued 0"] != messages || kinds["attempt 1"] != messages || kinds["sent 1"] != messages {
			t.Errorf("events %v, want queued, attempt 1 and sent 1 of %d messages", kinds, messages)
		}
		if n.not < 1 || n.not > concurrency-2 {
			t.Errorf("%d calls were not made, want only those that began before the route was told", n.not)
		}
	})
}

// A drain does not wait for the provider to take the call: its attempt is taken
// back.
func TestStopBeforeACallThatIsNotMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(script{recipients: []string{"a"}, send: func(context.Context, common.Call) (models.ProviderResponse, error) {
			time.Sleep(time.Second)
			return fails(notCalled())
		}}, 1)
		if err := stopped(t, b, time.Minute, nil); err == nil {
			t.Error("Handle = nil after a stop before any call was made")
		}
		b.want(t, "queued 0", "attempt 1", "retry 1")
		if got := b.events[2].ProviderResponse.Meta[models.MetaNotCalled]; got == "" {
			t.Error("the retry does not say that the call was not made")
		}
	})
}
