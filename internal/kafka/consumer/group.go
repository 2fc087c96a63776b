package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
)

// handOverSlack is what a hand-over may take beyond its longest provider
// call: to publish the outcomes and to commit.
const handOverSlack = 10 * time.Second

// What the client reads ahead of us, per broker and partition. Requests shrink
// to a tenth in their batches, so that two megabytes can be fifty thousand of
// them. A larger batch is still read: Kafka sends one at least.
const (
	fetchMaxBytes          = 2 << 20
	fetchMaxPartitionBytes = 256 << 10
)

func (c *Consumer) clientOptions(life *lifetime.Lifetime) ([]kgo.Opt, error) {
	opts, err := c.opts.Kafka.Client(c.log)
	if err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	opts = append(
		opts,
		kgo.ConsumerGroup(c.opts.Group),
		kgo.ConsumeTopics(c.opts.Topic),
		// What was rolled back was never asked for, and what is in an open
		// transaction is not asked for yet. Its markers are kept: they are
		// offsets to commit past.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(c.opts.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, c.opts.SessionTimeout/3)),
		// A hand-over may last as long as a provider call: nobody may be put
		// out of the group for letting its calls end.
		kgo.RebalanceTimeout(c.opts.LongestCall+handOverSlack+5*time.Second),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// Out of range is ours to handle: see reset.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			c.assigned(life, parts[c.opts.Topic])
		}),
		kgo.OnOffsetsFetched(func(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
			<-c.started
			c.recover(life.Waiting(), wants(resp, c.opts.Topic))
			return nil
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			c.revoked(life, parts[c.opts.Topic])
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			c.lost(parts[c.opts.Topic])
		}),
		c.opts.Kafka.Watched(),
		kgo.WithHooks(c.membership, c.fetchAnswers(), groupErrors(func(err error) {
			c.setGroupErr(fmt.Errorf("consumer group %s: %w", c.opts.Group, err))
			if isFatal(err) {
				life.Stop(fmt.Errorf("another worker runs with the same KAFKA_GROUP_INSTANCE_ID %q: %w", c.opts.InstanceID, err))
			}
		})),
	)
	if c.opts.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(c.opts.InstanceID))
	}
	return opts, nil
}

// isMember asks the group's coordinator whether this process is a member.
func (c *Consumer) isMember() bool {
	<-c.started
	ctx, cancel := context.WithTimeout(context.Background(), c.opts.SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group = c.opts.Group
	req.MemberID, req.Generation = c.client.GroupMetadata()
	if c.opts.InstanceID != "" {
		req.InstanceID = &c.opts.InstanceID
	}
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return false
	}
	err = kerr.ErrorForCode(resp.ErrorCode)
	return err == nil || errors.Is(err, kerr.RebalanceInProgress)
}

// groupErrors is called with the error that ended a group session.
type groupErrors func(error)

// OnGroupManageError implements kgo.HookGroupManageError.
func (f groupErrors) OnGroupManageError(err error) { f(err) }

// setGroupErr keeps what readiness says of the group; nil when all is well.
func (c *Consumer) setGroupErr(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.groupErr = err
}

func (c *Consumer) assigned(life *lifetime.Lifetime, partitions []int32) {
	defer c.count(life.Calls())
	c.setGroupErr(nil)
	if len(partitions) == 0 {
		return
	}
	<-c.started
	c.awaitPoll()
	c.assigning.Lock()
	c.begin(life, partitions, false)
	c.assigning.Unlock()
	c.log.Info().Ints32("partitions", partitions).Msg("partitions assigned")
}

// begin makes the assignments of partitions that the client does not read yet.
// It is called with c.assigning held.
func (c *Consumer) begin(life *lifetime.Lifetime, partitions []int32, rewound bool) {
	c.mu.Lock()
	for _, p := range partitions {
		a := c.newAssignment(life, p)
		a.rewound = rewound
		c.owned[p] = a
	}
	c.mu.Unlock()
	if !c.opts.AtMostOnce {
		// Until the journal says what earlier owners did, nothing is read.
		c.client.PauseFetchPartitions(map[string][]int32{c.opts.Topic: partitions})
	}
}

// revoked gives partitions back in order: nothing new is started, calls under
// way end within their bound, what is finished is committed. The group waits
// for this; heartbeats and the work on other partitions go on meanwhile.
func (c *Consumer) revoked(life *lifetime.Lifetime, partitions []int32) {
	<-c.started // the client calls back from its first moment on
	c.assigning.Lock()
	leaving := c.pick(partitions)
	for _, a := range leaving {
		a.refuse()
	}
	c.assigning.Unlock()
	if len(leaving) == 0 {
		return
	}
	c.log.Info().Ints32("partitions", partitions).Msg("handing partitions over: provider calls under way may end")
	c.leave(len(leaving))
	bound, cancel := context.WithTimeout(life.Calls(), c.opts.LongestCall+handOverSlack)
	defer cancel()
	// Where the log was cut, calls of an assignment before may be under way.
	if !drain(bound, append(c.former(leaving), leaving...), errHandedOver) {
		c.log.Warn().Ints32("partitions", partitions).Msg("partitions revoked: provider calls were cut at the bound")
	}
	c.commit(context.WithoutCancel(life.Calls()), leaving)
	c.forget(leaving)
	c.leave(-len(leaving))
	c.log.Info().Ints32("partitions", partitions).Msg("partitions revoked")
}

// lost forgets partitions that others own already: committing would overwrite
// their offsets, and what our calls do now is theirs to find out. At most once
// it is ours: what is committed comes to its end here.
func (c *Consumer) lost(partitions []int32) {
	c.assigning.Lock()
	gone := c.pick(partitions)
	c.forget(gone)
	c.assigning.Unlock()
	c.leave(0)
	for _, a := range gone {
		a.abandon(errHandedOver)
		a.halt(errHandedOver)
	}
	if len(gone) > 0 {
		c.log.Warn().Ints32("partitions", partitions).Msg("partitions lost")
	}
}

// count asks how many partitions the topic has by now, and tells our share of
// them. It returns at once.
func (c *Consumer) count(ctx context.Context) {
	if c.opts.Share == nil {
		return
	}
	go func() {
		<-c.started
		for ctx.Err() == nil {
			total, err := kafka.Partitions(ctx, c.client, c.opts.Topic)
			if err == nil {
				c.mu.Lock()
				c.total = total
				c.mu.Unlock()
				c.leave(0)
				return
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}()
}

// leave notes that so many more partitions are about to be given up, and tells
// which part of the topic is ours without them.
func (c *Consumer) leave(more int) {
	if c.opts.Share == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving += more
	if c.total > 0 {
		c.opts.Share(float64(max(0, len(c.owned)-c.leaving)) / float64(c.total))
	}
}

func (c *Consumer) pick(partitions []int32) []*assignment {
	c.mu.Lock()
	defer c.mu.Unlock()
	var picked []*assignment
	for _, p := range partitions {
		if a, ok := c.owned[p]; ok {
			picked = append(picked, a)
		}
	}
	return picked
}

// former returns the latest assignments before these of their partitions.
func (c *Consumer) former(assignments []*assignment) []*assignment {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []*assignment
	for _, a := range assignments {
		if before := c.lately[a.partition]; before != nil {
			list = append(list, before)
		}
	}
	return list
}

func (c *Consumer) forget(assignments []*assignment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range assignments {
		a.close()
		if c.owned[a.partition] == a {
			c.faults.over(a.partition)
			delete(c.owned, a.partition)
			c.lately[a.partition] = a
		}
		if a.outlives {
			c.outliving.Go(a.handlers.Wait)
		}
	}
}
