package consumer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	testkafka "messaging-worker/test/kafka"
)

// A fetch that brings nothing and no error either ends the error before it, as
// one with records does.
func TestFetchErrorEndsWithAFetch(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 3)
	var refuse atomic.Bool
	refuse.Store(true)
	fetched := make(chan bool, 1e6)
	s.cluster.ControlKey(kmsg.Fetch.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		req, ok := request.(*kmsg.FetchRequest)
		if !ok || req.MaxWaitMillis != 500 { // the reader of the journal waits less
			return nil, nil, false
		}
		refused := refuse.Load() && len(req.Topics) > 0
		fetched <- refused
		return testkafka.Refuse(req, kerr.TopicAuthorizationFailed.Code), nil, refused
	})
	m := s.join()
	for !wait(t, fetched, "a fetch that is refused") {
	}
	s.await(func() bool { return stands(m, "TOPIC_AUTHORIZATION_FAILED") })
	for range 5 { // and goes on to stand while nothing disproves it
		wait(t, fetched, "a fetch")
	}
	if !stands(m, "TOPIC_AUTHORIZATION_FAILED") {
		t.Errorf("State = %+v while each fetch is refused", m.c.State())
	}
	refuse.Store(false)
	for wait(t, fetched, "a fetch that is not refused") {
	}
	for range answersThatProve + 2 {
		wait(t, fetched, "a fetch")
	}
	if err := m.c.State().Err; err != nil {
		t.Errorf("State.Err = %v after fetches without an error", err)
	}
	// One fetch may bring the errors of some of the partitions alone.
	for partition := range 3 {
		named := regexp.MustCompile(fmt.Sprintf(`"partitions":\[[^]]*\b%d\b[^]]*\].*read requests: will be tried again`, partition))
		if lines := m.log.matching(named); len(lines) != 1 {
			t.Errorf("the error of partition %d was logged %d times, want once:\n%s", partition, len(lines), strings.Join(lines, "\n"))
		}
	}
	m.leave()
}

func TestFetchErrorEndsWithRecords(t *testing.T) {
	t.Parallel()
	var f faults
	if !f.note(1, kerr.TopicAuthorizationFailed) || f.note(1, kerr.TopicAuthorizationFailed) || !f.note(1, kerr.CorruptMessage) {
		t.Error("an error is logged when it is another one than before")
	}
	f.note(2, kerr.CorruptMessage)
	f.note(-1, kerr.TopicAuthorizationFailed)
	f.over(1)
	if err := f.Standing(); err == nil || err.Error() != kerr.CorruptMessage.Error() {
		t.Errorf("standing = %v, want what partition 2 has", err)
	}
	leader := func(int32) int32 { return 7 }
	for range answersThatProve {
		f.answered(6, leader)
	}
	for range answersThatProve - 1 {
		f.answered(7, leader)
	}
	if f.Standing() == nil {
		t.Error("answers of the leader end an error, though they may be the error's own")
	}
	f.answered(7, leader)
	if err := f.Standing(); err != nil {
		t.Errorf("standing = %v after the leader's next answer", err)
	}
}

// stands reports whether the member says so of itself.
func stands(m *member, text string) bool {
	err := m.c.State().Err
	return err != nil && strings.Contains(err.Error(), text)
}

// await waits until something is so.
func (s *scene) await(is func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), bound)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("waited %v for it", bound)
		case <-look.C:
		}
	}
}

// A group session that ended, for whatever reason, is past once the next one
// works: with the first request that is read nothing stands against it.
func TestGroupErrorEndsWithTheNextSession(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 1)
	var refuse atomic.Bool
	refuse.Store(true)
	s.cluster.ControlKey(kmsg.JoinGroup.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		resp, ok := request.ResponseKind().(*kmsg.JoinGroupResponse)
		if !ok || !refuse.Load() {
			return nil, nil, false
		}
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp, nil, true
	})
	m := s.join()
	s.await(func() bool { return stands(m, "GROUP_AUTHORIZATION_FAILED") })
	for range 3 {
		wait(t, m.beats, "the poll loop")
	}
	refuse.Store(false)
	s.put(0, "send")
	wait(t, m.done, "the request to be done")
	if err := m.c.State().Err; err != nil {
		t.Errorf("State.Err = %v though requests are read", err)
	}
	m.leave()
}

// Commits that are refused again and again are told once for all partitions, and
// again when the reason changes; they are tried all along.
func TestStandingCommitErrorIsToldOnce(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 3)
	var code atomic.Int32
	commits := make(chan struct{}, 1e6)
	s.cluster.ControlKey(kmsg.OffsetCommit.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		commits <- struct{}{}
		why := int16(code.Load())
		return testkafka.Refuse(request, why), nil, why != 0
	})
	const told = "will be tried again"
	m := s.join()
	s.put(0, "send")
	wait(t, m.done, "the request to be done")
	s.committed(0, 1)
	for i, why := range []*kerr.Error{kerr.UnknownTopicOrPartition, kerr.TopicAuthorizationFailed} {
		code.Store(int32(why.Code))
		s.put(0, "send")
		s.await(func() bool { return m.log.count(why.Message) > 0 })
		for partition := range int32(2) {
			s.put(1+partition, "send") // theirs are refused later
			for range 5 + len(commits) {
				wait(t, commits, "a further commit")
			}
		}
		for range 20 + len(commits) {
			wait(t, commits, "a further commit")
		}
		if n := m.log.count(told); n != i+1 {
			t.Errorf("%d lines tell of commits after %d errors, want one for each", n, i+1)
		}
	}
	code.Store(0)
	s.committed(0, 3)
	m.leave()
}

// Of two journals that are read at once, the one that succeeds does not hide
// that the other fails.
func TestJournalErrorIsOfItsReading(t *testing.T) {
	t.Parallel()
	c := unconnected(t, nil, Options{})
	c.failing.Changed("journal 1", kerr.TopicAuthorizationFailed)
	c.failing.Changed("journal 2", nil)
	if err := c.State().Err; !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("State.Err = %v while one journal cannot be read", err)
	}
	c.failing.Changed("journal 1", nil)
	if err := c.State().Err; err != nil {
		t.Errorf("State.Err = %v after both were read", err)
	}
}
