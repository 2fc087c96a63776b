package stage

import (
	"cmp"
	"fmt"
	"math"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"

	"messaging-worker/internal/models"
)

// CreateTopics makes the topics that Options.NoTopics left out.
func (s *Stage) CreateTopics(o Options) {
	s.t.Helper()
	large := "16777216"
	big := map[string]*string{"max.message.bytes": &large}
	dlq := o.DLQ
	if dlq == nil {
		dlq = big
	}
	if o.AnyTime {
		most := strconv.FormatInt(math.MaxInt64, 10)
		big["message.timestamp.after.max.ms"] = &most
		big["retention.ms"] = new("-1") // or Kafka deletes what seems to be old
	}
	create := func(topic string, partitions int32, conf map[string]*string) {
		if _, err := s.Admin.CreateTopic(s.Ctx, partitions, cmp.Or(o.Replication, 1), conf, topic); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, lane := range s.Lanes {
		create(s.RequestTopic(lane), map[models.Lane]int32{models.LaneHigh: o.High, models.LaneNormal: o.Partitions, models.LaneBulk: o.Bulk}[lane], big)
	}
	s.statusPartitions = cmp.Or(o.StatusPartitions, o.Partitions)
	create(s.Topic("status"), s.statusPartitions, o.Status)
	create(s.Topic("dlq"), o.Partitions, dlq)
	if s.control {
		s.CreateControl(cmp.Or(o.Replication, 1))
	}
}

// Topic returns the name of the request, status, dlq or control topic.
func (s *Stage) Topic(kind string) string { return s.Name + "." + kind }

// RequestTopic returns the name of a lane's request topic.
func (s *Stage) RequestTopic(lane models.Lane) string { return ofLane(s.Topic("request"), lane) }

// TopicInTurn returns the request topic of number i, where the lanes take turns.
func (s *Stage) TopicInTurn(i int) string { return s.RequestTopic(s.Lanes[i%len(s.Lanes)]) }

// Group returns the consumer group.
func (s *Stage) Group() string { return s.Name + "-group" }

// ofLane returns a lane's name for what is named so in the normal lane.
func ofLane(name string, lane models.Lane) string {
	if lane == models.LaneNormal {
		return name
	}
	return name + "." + string(lane)
}

// Committed waits until the offsets of every lane's group have reached the log's
// end.
func (s *Stage) Committed() {
	s.t.Helper()
	s.CommittedIn(s.Lanes...)
}

// CommittedIn is Committed for some of the lanes.
func (s *Stage) CommittedIn(lanes ...models.Lane) {
	s.t.Helper()
	for _, lane := range lanes {
		Eventually(s.t, func() string { return s.uncommitted(s.RequestTopic(lane), ofLane(s.Group(), lane)) })
	}
}

// uncommitted tells of a partition that a group has not committed to its end, or
// returns "".
func (s *Stage) uncommitted(topic, group string) string {
	lags, err := s.Admin.Lag(s.Ctx, group)
	if err != nil {
		return err.Error()
	}
	if err := lags.Error(); err != nil {
		return err.Error()
	}
	ends, err := s.Admin.ListEndOffsets(s.Ctx, topic)
	if err != nil {
		return err.Error()
	}
	for partition, end := range ends[topic] {
		at := int64(0)
		if m, ok := lags[group].Lag.Lookup(topic, partition); ok {
			at = max(m.Commit.At, 0)
		}
		if end.Offset > 0 && at != end.Offset {
			return fmt.Sprintf("%s/%d is committed to %d of %d", topic, partition, at, end.Offset)
		}
	}
	return ""
}

// Commit moves the group to one offset in each partition, from 0 on, as an
// operator's tool does.
func (s *Stage) Commit(offsets ...int64) {
	s.t.Helper()
	all := kadm.Offsets{}
	for partition, at := range offsets {
		all.AddOffset(s.Topic("request"), int32(partition), at, -1)
	}
	if err := s.Admin.CommitAllOffsets(s.Ctx, s.Group(), all); err != nil {
		s.t.Fatal(err)
	}
}
