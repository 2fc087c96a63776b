package consumer

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
)

// While a call of a revoked partition is under way, the partition that stays
// is worked on and the poll loop beats; a stop then ends all waits at once.
func TestHandOverHoldsNobodyElse(t *testing.T) {
	t.Parallel()
	s := newScene(t, 1, 2)
	first := s.join()
	s.put(0, "call")
	s.put(1, "call")
	wait(t, first.begun, "a call")
	wait(t, first.begun, "another call")
	second := s.join()
	leaving := wait(t, first.told, "a partition to be revoked").partition
	stays := 1 - leaving
	s.put(leaving, "later")
	want := place{stays, s.put(stays, "more")}
	if got := wait(t, first.done, "the partition that stays to be worked on"); got != want {
		t.Errorf("done %v, want %v", got, want)
	}
	wait(t, first.beats, "a beat during the hand-over")
	wait(t, first.beats, "another beat during the hand-over")

	first.stop()
	if got, want := wait(t, first.told, "the drain to begin"), (place{stays, 0}); got != want {
		t.Errorf("told to end: %v, want %v", got, want)
	}
	wait(t, first.ended, "the poll loop's end while calls are under way")
	close(first.release)
	first.leave()
	want = place{leaving, 1}
	if got := wait(t, second.done, "what was left to the next owner"); got != want {
		t.Errorf("the next owner did %v, want %v", got, want)
	}
	s.committed(leaving, 2)
	s.committed(stays, 2)
	second.leave()
	if len(second.begun) != 1 {
		t.Errorf("the next owner began %d messages, want 1", len(second.begun))
	}
}

// What the client read of a partition before it was revoked is nobody's, even
// if the partition is assigned again before it is sorted.
func TestRecordsOfAnEarlierAssignment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := unconnected(t, nil, Options{})
		nowhere := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }
		var err error
		if c.client, err = kgo.NewClient(kgo.Dialer(nowhere)); err != nil {
			t.Fatal(err)
		}
		defer c.client.Close()
		close(c.started)
		interrupted := false
		c.poller.latest = &polling{stop: func() { interrupted = true }, sorted: make(chan struct{})}
		stale := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "request", Partitions: []kgo.FetchPartition{
			{Partition: 3, Records: []*kgo.Record{{Partition: 3, Offset: 41}}},
		}}}}}

		life := lifetime.New(t.Context())
		defer life.Cut(nil)
		go c.group.assigned(life, []int32{3})
		synctest.Wait()
		if !interrupted {
			t.Error("the poll goes on waiting for records that may never come")
		}
		if batches := c.poller.sort(stale); len(batches) != 0 {
			t.Errorf("%d batches of what was read before the assignment, want none", len(batches))
		}
		close(c.poller.latest.sorted)
		synctest.Wait()
		if len(c.partitions.pick(3)) != 1 {
			t.Error("the partition was not assigned once the poll was sorted")
		}
	})
}

// Members join and leave under load: every record is done, and once, though
// the client of each had read ahead.
func TestEveryRecordOnce(t *testing.T) {
	t.Parallel()
	const partitions, changes, most = 4, 6, 2000
	s := newScene(t, 1, partitions)
	fed := int64(0) // to each partition
	feed := func() {
		for p := range int32(partitions) {
			s.producer.Produce(t.Context(), &kgo.Record{Topic: "request", Partition: p, Value: []byte("send")}, nil)
		}
		if fed++; fed%100 == 0 {
			s.flush()
		}
	}
	members := []*member{s.join()}
	for range changes {
		next := s.join()
		for len(next.done) == 0 {
			feed()
			s.flush() // no faster than Kafka takes them: this may last
		}
		for range most {
			feed()
		}
		members[len(members)-1].leave()
		members = append(members, next)
	}
	s.flush()
	for p := range int32(partitions) {
		s.committed(p, fed)
	}
	members[changes].leave()
	times := map[place]int{}
	for _, m := range members {
		for range len(m.done) {
			times[<-m.done]++
		}
	}
	for p := range int32(partitions) {
		for o := range fed {
			if n := times[place{p, o}]; n != 1 {
				t.Fatalf("record %d of partition %d was done %d times, want once", o, p, n)
			}
		}
	}
}
