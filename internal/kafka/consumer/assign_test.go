package consumer

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Another leader takes over without the last records: those that stand in
// their place are done, and the offset goes back with them. What is under way
// below is begun again, and nothing below is repeated.
func TestLogCutByAnElection(t *testing.T) {
	t.Parallel()
	const pinned, cut, end = 3, 5, 8
	s := newScene(t, 2, 1)
	if err := s.cluster.MoveTopicPartition("request", 0, 0); err != nil {
		t.Fatal(err)
	}
	m := s.join()
	for offset := range end {
		value := "send"
		if offset == pinned {
			value = "call"
		}
		s.put(0, value)
		wait(t, m.begun, "a record")
	}
	for range end - 1 {
		wait(t, m.done, "a record to be done")
	}
	s.committed(0, pinned)

	s.tellCut(cut)
	if err := s.cluster.MoveTopicPartition("request", 0, 1); err != nil {
		t.Fatal(err)
	}
	if got, want := wait(t, m.told, "the assignment's end"), (place{0, pinned}); got != want {
		t.Errorf("told to end: %v, want %v", got, want)
	}
	close(m.release)
	times := map[int64]int{}
	for range 1 + end - pinned { // once more for the call that was under way
		times[wait(t, m.done, "what stands in the place of lost records").offset]++
	}
	for offset := int64(pinned); offset < end; offset++ {
		want := 1
		if offset == pinned {
			want = 2
		}
		if times[offset] != want {
			t.Errorf("record %d was done %d times since, want %d", offset, times[offset], want)
		}
	}
	s.committed(0, end)
	m.leave()
}

// Where the commit had passed what was lost, it is taken back at once: a crash
// must not leave out what stands there now.
func TestCommitGoesBackWithTheLog(t *testing.T) {
	t.Parallel()
	const cut, end = 2, 4
	s := newScene(t, 2, 1)
	if err := s.cluster.MoveTopicPartition("request", 0, 0); err != nil {
		t.Fatal(err)
	}
	m := s.join()
	for range end {
		s.put(0, "send")
		wait(t, m.done, "a record to be done")
	}
	s.committed(0, end)
	commits := make(chan int64, 100)
	s.cluster.ControlKey(kmsg.OffsetCommit.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		commits <- r.(*kmsg.OffsetCommitRequest).Topics[0].Partitions[0].Offset
		return nil, nil, false
	})
	s.tellCut(cut)
	if err := s.cluster.MoveTopicPartition("request", 0, 1); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, commits, "a commit"); got < cut || got >= end {
		t.Errorf("the first commit since is %d, want less than %d", got, end)
	}
	s.committed(0, end)
	m.leave()
	for offset := range int64(end - cut) {
		if got := wait(t, m.done, "a record to be done again").offset; got < cut || got >= end {
			t.Errorf("%d. record done since: %d, want those from %d on", offset, got, cut)
		}
	}
}

// tellCut has the client hear that the log of partition 0 was cut. The
// broker's log stays as it is.
func (s *scene) tellCut(offset int64) {
	s.cluster.ControlKey(kmsg.OffsetForLeaderEpoch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req := r.(*kmsg.OffsetForLeaderEpochRequest)
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
		topic.Topic = "request"
		partition := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
		partition.LeaderEpoch, partition.EndOffset = req.Topics[0].Partitions[0].LeaderEpoch, offset
		topic.Partitions = append(topic.Partitions, partition)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
}
