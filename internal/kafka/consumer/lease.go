package consumer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaseSlack is how much sooner than the group we take ourselves for dead: the
// group counts from when it saw a heartbeat, and a call takes time to start.
const leaseSlack = time.Second

// lease says whether the group still counts us in, from the answers that its
// coordinator gives. After the session time-out without a heartbeat the
// partitions go to others, and nobody can tell us: so a little sooner no call
// may start.
//
// A member that waits for a rebalance is not timed out for its heartbeats, so
// the lease holds while a JoinGroup request is under way.
type lease struct {
	length time.Duration
	until  atomic.Int64 // when it runs out, in nanoseconds of the wall clock

	mu      sync.Mutex
	joining bool
	renewed chan struct{} // closed and replaced at each renewal
}

func newLease(length time.Duration) *lease {
	l := &lease{length: length, renewed: make(chan struct{})}
	l.renew(0)
	return l
}

// wait returns nil while the lease holds, or waits until it does again.
func (l *lease) wait(ctx context.Context) error {
	for time.Now().UnixNano() >= l.until.Load() {
		l.mu.Lock()
		joining, renewed := l.joining, l.renewed
		l.mu.Unlock()
		if joining || time.Now().UnixNano() < l.until.Load() {
			return nil
		}
		select {
		case <-renewed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// renew lets the lease begin at the moment the answered request was written.
func (l *lease) renew(ago time.Duration) {
	l.until.Store(time.Now().Add(l.length - ago).UnixNano())
	l.wake()
}

func (l *lease) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.renewed)
	l.renewed = make(chan struct{})
}

func (l *lease) setJoining(joining bool) {
	l.mu.Lock()
	l.joining = joining
	l.mu.Unlock()
	if joining {
		l.wake()
	}
}

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (l *lease) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == kmsg.JoinGroup.Int16() && err == nil {
		l.setJoining(true)
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (l *lease) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	switch key {
	case kmsg.JoinGroup.Int16():
		l.setJoining(false)
	case kmsg.Heartbeat.Int16(), kmsg.SyncGroup.Int16():
	default:
		return
	}
	if e2e.Err() == nil {
		l.renew(e2e.DurationE2E())
	}
}

var (
	_ kgo.HookBrokerWrite = (*lease)(nil)
	_ kgo.HookBrokerE2E   = (*lease)(nil)
)
