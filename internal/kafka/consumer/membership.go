package consumer

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/broadcast"
)

// membershipSlack is how much sooner than the group this process takes its
// membership for ended: the group counts from the moment in which it received
// a heartbeat, and a provider call takes time to start.
const membershipSlack = time.Second

// membership tells whether this process is still a member of its group, from
// the coordinator's answers. After a session time-out without a heartbeat the
// partitions go to other members, and no answer reaches us. So shortly before
// that no call may start any more.
//
// A member that waits for a rebalance is not timed out for missing heartbeats,
// so the membership is valid while a JoinGroup request is under way.
//
// An answer may say that the group has removed us, but the client's hooks do
// not show what an answer says. While the membership is valid that does not
// matter: the client ends the assignment at once. After it has expired, as in
// a process that was suspended, all who wait would start their calls at that
// answer. So then the coordinator is asked once more, by a request whose
// answer is read.
type membership struct {
	length   time.Duration
	isMember func() bool  // asks the coordinator whether we are a member
	until    atomic.Int64 // when it expires, in nanoseconds of the wall clock
	asking   atomic.Bool
	joining  atomic.Bool
	changed  broadcast.Signal // it was renewed, or joining began
}

func newMembership(length time.Duration, isMember func() bool) *membership {
	m := &membership{length: length, isMember: isMember}
	m.renew(0)
	return m
}

// wait returns nil while the membership is valid, or waits until it is again.
func (m *membership) wait(ctx context.Context) error {
	for !m.valid() {
		changed := m.changed.Next()
		if m.joining.Load() || m.valid() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (m *membership) valid() bool { return time.Now().UnixNano() < m.until.Load() }

// answered renews the membership after an answer of the coordinator. It does
// not block.
func (m *membership) answered(ago time.Duration) {
	if m.valid() {
		m.renew(ago)
		return
	}
	if !m.asking.CompareAndSwap(false, true) {
		return // the answer to our own request, or another one meanwhile
	}
	go func() {
		defer m.asking.Store(false)
		begun := time.Now()
		if m.isMember() {
			m.renew(time.Since(begun))
		}
	}()
}

// renew counts the membership from the moment in which the answered request
// was written.
func (m *membership) renew(ago time.Duration) {
	m.until.Store(time.Now().Add(m.length - ago).UnixNano())
	m.changed.Send()
}

// OnBrokerWrite implements kgo.HookBrokerWrite.
func (m *membership) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key == kmsg.JoinGroup.Int16() && err == nil && m.valid() {
		m.joining.Store(true)
		m.changed.Send()
	}
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (m *membership) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	switch key {
	case kmsg.JoinGroup.Int16():
		m.joining.Store(false)
	case kmsg.Heartbeat.Int16(), kmsg.SyncGroup.Int16():
	default:
		return
	}
	if e2e.Err() == nil {
		m.answered(e2e.DurationE2E())
	}
}

var (
	_ kgo.HookBrokerWrite = (*membership)(nil)
	_ kgo.HookBrokerE2E   = (*membership)(nil)
)

// isMember asks the group's coordinator whether this process is a member.
func (b *base) isMember() bool {
	<-b.started
	ctx, cancel := context.WithTimeout(context.Background(), b.SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group = b.Group
	req.MemberID, req.Generation = b.client.GroupMetadata()
	if b.InstanceID != "" {
		req.InstanceID = &b.InstanceID
	}
	resp, err := req.RequestWith(ctx, b.client)
	if err != nil {
		return false
	}
	err = kerr.ErrorForCode(resp.ErrorCode)
	return err == nil || errors.Is(err, kerr.RebalanceInProgress)
}
