package consumer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMembership(t *testing.T) {
	t.Parallel()
	const length = 9 * time.Second
	heartbeat, join := kmsg.Heartbeat.Int16(), kmsg.JoinGroup.Int16()
	answered := func(took time.Duration) kgo.BrokerE2E { return kgo.BrokerE2E{TimeToRead: took} }
	tests := []struct {
		name string
		do   func(m *membership)
		held bool
	}{
		{"renewed when the group has put us out", func(m *membership) {
			m.isMember = func() bool { return false }
			time.Sleep(length)
			m.OnBrokerE2E(kgo.BrokerMetadata{}, heartbeat, answered(0))
		}, false},
		{"asks for a rebalance when it has run out", func(m *membership) {
			time.Sleep(length)
			m.OnBrokerWrite(kgo.BrokerMetadata{}, join, 1, 0, 0, nil)
		}, false},
		{"new", func(*membership) {}, true},
		{"just before its end", func(*membership) { time.Sleep(length - 1) }, true},
		{"at its end", func(*membership) { time.Sleep(length) }, false},
		{"renewed", func(m *membership) {
			time.Sleep(length)
			m.OnBrokerE2E(kgo.BrokerMetadata{}, heartbeat, answered(0))
			synctest.Wait()
			time.Sleep(length - 1)
		}, true},
		{"counts from the question", func(m *membership) {
			m.OnBrokerE2E(kgo.BrokerMetadata{}, heartbeat, answered(4*time.Second))
			time.Sleep(5 * time.Second)
		}, false},
		{"not answered", func(m *membership) {
			time.Sleep(length)
			m.OnBrokerE2E(kgo.BrokerMetadata{}, heartbeat, kgo.BrokerE2E{ReadErr: errors.New("cut")})
		}, false},
		{"another request", func(m *membership) {
			time.Sleep(length)
			m.OnBrokerE2E(kgo.BrokerMetadata{}, kmsg.Fetch.Int16(), answered(0))
		}, false},
		{"waits for a rebalance", func(m *membership) {
			m.OnBrokerWrite(kgo.BrokerMetadata{}, join, 1, 0, 0, nil)
			time.Sleep(time.Hour)
		}, true},
		{"could not ask for a rebalance", func(m *membership) {
			m.OnBrokerWrite(kgo.BrokerMetadata{}, join, 0, 0, 0, errors.New("cut"))
			time.Sleep(time.Hour)
		}, false},
		{"the rebalance was not answered", func(m *membership) {
			m.OnBrokerWrite(kgo.BrokerMetadata{}, join, 1, 0, 0, nil)
			time.Sleep(time.Hour)
			m.OnBrokerE2E(kgo.BrokerMetadata{}, join, kgo.BrokerE2E{ReadErr: errors.New("cut")})
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMembership(length, func() bool { return true })
				tt.do(m)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if held := m.wait(ctx) == nil; held != tt.held {
					t.Errorf("held %v, want %v", held, tt.held)
				}
			})
		})
	}
}

// Everybody who waits goes on at the next answer.
func TestMembershipWakesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMembership(0, func() bool { return true })
		done := make(chan error, 3)
		for range 3 {
			go func() { done <- m.wait(t.Context()) }()
		}
		synctest.Wait()
		m.length = time.Minute
		m.OnBrokerE2E(kgo.BrokerMetadata{}, kmsg.Heartbeat.Int16(), kgo.BrokerE2E{})
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A process that stood still for longer than the session begins nothing before it
// knows that it is a member still.
func TestNothingBeginsUnlessMember(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 1)
	m := s.join()
	s.put(0, "")
	wait(t, m.done, "a message")
	ship := m.c.group.membership
	ship.isMember = func() bool { return false }
	ship.until.Store(0)
	s.put(0, "")
	for m.c.Stats().PendingMessages == 0 && len(m.done) == 0 {
		wait(t, m.beats, "the poll that admits the record")
	}
	wait(t, m.beats, "a poll after that")
	if len(m.done) > 0 {
		t.Fatal("a message began though the partition may be another's")
	}
	ship.renew(0)
	wait(t, m.done, "the message")
	m.leave()
}

// A member that hears only when it rejoins that the group has removed it has lost
// its partitions: what another member did meanwhile is read before it goes on.
func TestRemovedBeforeItRejoins(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 2)
	m := s.join()
	s.put(0, "call")
	wait(t, m.begun, "a call")
	answers := make(chan int16, 2) // to its next heartbeats
	answers <- 0
	s.cluster.ControlKey(kmsg.Heartbeat.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		resp, _ := r.ResponseKind().(*kmsg.HeartbeatResponse)
		select {
		case resp.ErrorCode = <-answers:
			return resp, nil, true
		default:
			return nil, nil, false
		}
	})
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = "group"
	member := kmsg.NewLeaveGroupRequestMember()
	member.MemberID, _ = m.c.group.client.GroupMetadata()
	leave.Members = append(leave.Members, member)
	answers <- kerr.RebalanceInProgress.Code
	if _, err := leave.RequestWith(t.Context(), s.producer); err != nil {
		t.Fatal(err)
	}
	wait(t, m.told, "the assignment's end")
	close(m.release)
	wait(t, m.begun, "the message again, by a new assignment")
	if lost, read := m.log.count("partitions lost"), m.log.count("journal read"); lost != 1 || read != 2 {
		t.Errorf("partitions lost %d times and journals read %d times, want 1 and 2:\n%s", lost, read, m.log.String())
	}
	s.committed(0, 1)
	m.leave()
}

// A process that stood still for longer than the session hears at its first
// heartbeat that it is put out: that answer lets no call start.
func TestNobodyStartsWhenPutOut(t *testing.T) {
	t.Parallel()
	const calls = 50
	s := newScene(t, 1, 1)
	m := s.join()
	for range calls {
		s.put(0, "hold")
	}
	for range calls {
		wait(t, m.begun, "a call that is about to start")
	}
	var still sync.Once
	s.cluster.ControlKey(kmsg.Heartbeat.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		still.Do(func() {
			m.c.group.membership.until.Store(0)
			close(m.release)
			time.Sleep(50 * time.Millisecond) // until they wait
		})
		resp, _ := r.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
	for range calls {
		if wait(t, m.held, "an answer") == nil {
			t.Fatal("a call started for a partition that is another's")
		}
	}
}
