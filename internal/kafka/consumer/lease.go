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
//
// An answer may say that we are put out, and those who watch the requests do
// not see what it says. While the lease holds that does not matter: the client
// ends the assignment at once. After it has run out, as in a process that stood
// still, all who wait would start their calls in that moment; so then the
// coordinator is asked once more, by a request whose answer is read.
type lease struct {
	length  time.Duration
	counted func() bool  // asks the coordinator whether it counts us in
	until   atomic.Int64 // when it runs out, in nanoseconds of the wall clock
	asking  atomic.Bool

	mu      sync.Mutex
	joining bool
	renewed chan struct{} // closed and replaced at each renewal
}

func newLease(length time.Duration, counted func() bool) *lease {
	l := &lease{length: length, counted: counted, renewed: make(chan struct{})}
	l.renew(0)
	return l
}

// wait returns nil while the lease holds, or waits until it does again.
func (l *lease) wait(ctx context.Context) error {
	for !l.holds() {
		l.mu.Lock()
		joining, renewed := l.joining, l.renewed
		l.mu.Unlock()
		if joining || l.holds() {
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

func (l *lease) holds() bool { return time.Now().UnixNano() < l.until.Load() }

// answered renews the lease for an answer of the coordinator. It does not wait.
func (l *lease) answered(ago time.Duration) {
	if l.holds() {
		l.renew(ago)
		return
	}
	if !l.asking.CompareAndSwap(false, true) {
		return // the answer to what we ask ourselves, or another one meanwhile
	}
	go func() {
		defer l.asking.Store(false)
		begun := time.Now()
		if l.counted() {
			l.renew(time.Since(begun))
		}
	}()
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
	if key == kmsg.JoinGroup.Int16() && err == nil && l.holds() {
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
		l.answered(e2e.DurationE2E())
	}
}

var (
	_ kgo.HookBrokerWrite = (*lease)(nil)
	_ kgo.HookBrokerE2E   = (*lease)(nil)
)
