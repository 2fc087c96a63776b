package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// group follows what the consumer group assigns and takes away.
type group struct {
	*base

	committer  *committer
	assigner   *assigner
	recovery   *recovery
	poller     *poller
	membership *membership

	recount chan struct{} // holds one token: the topic's partitions are to be counted

	mu      sync.Mutex
	counted bool // total is known
	total   int  // partitions of the topic; 0 where it does not exist
	leaving int  // how many of the owned are about to be given up
}

// clientOptions returns those of the client. A group that has put us out for
// good stops life.
func (g *group) clientOptions(life *lifetime.Lifetime) ([]kgo.Opt, error) {
	opts, err := g.Kafka.Client(g.Log)
	if err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	opts = append(
		opts,
		kgo.ConsumerGroup(g.Group),
		kgo.ConsumeTopics(g.Topic),
		// What was rolled back was never asked for, and what is in an open
		// transaction is not asked for yet. Its markers are kept: they are
		// offsets to commit past.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.Balancers(&balancer{GroupBalancer: kgo.CooperativeStickyBalancer(), group: g}),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(g.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, g.SessionTimeout/3)),
		// A hand-over may last as long as a provider call: the group must not
		// remove a member that lets its calls end.
		kgo.RebalanceTimeout(g.LongestCall+handOverSlack+5*time.Second),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// Out of range is ours to handle: see reset.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxBytes(fetchMaxBytes),
		kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			g.assigned(life, parts[g.Topic])
		}),
		kgo.OnOffsetsFetched(func(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
			<-g.started
			g.recovery.recover(life.Waiting(), wants(resp, g.Topic))
			return nil
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			g.revoked(life, parts[g.Topic])
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			g.lost(parts[g.Topic])
		}),
		kgo.WithHooks(g.Kafka.Hooks...),
		kgo.WithHooks(g.membership, g, groupErrors(func(err error) {
			g.failing.Changed("group", fmt.Errorf("consumer group %s: %w", g.Group, err)) // until partitions are assigned
			if isFatal(err) {
				life.Stop(fmt.Errorf("another worker runs with the same KAFKA_GROUP_INSTANCE_ID %q: %w", g.InstanceID, err))
			}
		})),
	)
	if g.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(g.InstanceID))
	}
	return opts, nil
}

// groupErrors is called with the error that ended a group session.
type groupErrors func(error)

// OnGroupManageError implements kgo.HookGroupManageError.
func (f groupErrors) OnGroupManageError(err error) { f(err) }

func (g *group) assigned(life *lifetime.Lifetime, partitions []int32) {
	defer putToken(g.recount)
	g.failing.Changed("group", nil)
	if len(partitions) == 0 {
		return
	}
	<-g.started
	g.poller.await()
	g.assigner.mu.Lock()
	g.assigner.begin(life, false, partitions...)
	g.assigner.mu.Unlock()
	g.Log.Info().Ints32("partitions", partitions).Msg("partitions assigned")
}

// revoked gives partitions back in order: nothing new is started, calls under
// way end within their bound, what is finished is committed. The group waits
// for this; heartbeats and the work on other partitions go on meanwhile.
func (g *group) revoked(life *lifetime.Lifetime, partitions []int32) {
	<-g.started // the client calls back from its first moment on
	g.assigner.mu.Lock()
	leaving := g.partitions.pick(partitions...)
	for _, a := range leaving {
		a.advance(stopping)
	}
	g.assigner.mu.Unlock()
	if len(leaving) == 0 {
		return
	}
	g.Log.Info().Ints32("partitions", partitions).Msg("handing partitions over: provider calls under way may end")
	g.leave(len(leaving))
	bound, cancel := context.WithTimeout(life.Calls(), g.LongestCall+handOverSlack)
	defer cancel()
	if !drain(bound, g.partitions.withFormer(leaving), errHandedOver) {
		g.Log.Warn().Ints32("partitions", partitions).Msg("partitions revoked: provider calls were cut at the bound")
	}
	g.committer.commit(context.WithoutCancel(life.Calls()), leaving)
	g.partitions.forget(leaving...)
	g.leave(-len(leaving))
	g.Log.Info().Ints32("partitions", partitions).Msg("partitions revoked")
}

// lost forgets partitions that other members own already. A commit would
// overwrite theirs, so there is none, and calls under way are cut. At most once,
// no other member reads what is committed: it comes to its end here.
func (g *group) lost(partitions []int32) {
	g.assigner.mu.Lock()
	gone := g.partitions.pick(partitions...)
	g.partitions.forget(gone...)
	g.assigner.mu.Unlock()
	g.leave(0)
	for _, a := range gone {
		a.abandon(errHandedOver)
	}
	if len(gone) > 0 {
		g.Log.Warn().Ints32("partitions", partitions).Msg("partitions lost")
	}
}

// countAgainAfter is how soon a topic that did not exist is looked for again. A
// group takes longer to let its first member in, so that all workers know of a
// new topic's partitions before one of them is assigned any.
const countAgainAfter = time.Second

// countLoop asks how many partitions the topic has, and tells the observer our
// share of them, until ctx ends: at first, after each assignment, and again and
// again where it has none.
func (g *group) countLoop(ctx context.Context) {
	for ctx.Err() == nil {
		var again <-chan time.Time
		total, known := g.partitionCount(ctx)
		if known {
			g.mu.Lock()
			g.total, g.counted = total, true
			g.mu.Unlock()
			g.leave(0)
		}
		if total == 0 {
			again = time.After(countAgainAfter)
		}
		select {
		case <-g.recount:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// partitionCount asks how many partitions the topic has: none where it does not
// exist, or may not be used. Not known is what the brokers do not tell now. The
// client's cache may be of before the assignment, so that it is not asked.
func (g *group) partitionCount(ctx context.Context) (total int, known bool) {
	topics, err := kafka.Metadata(ctx, g.client, g.Topic)
	if err != nil || len(topics) != 1 {
		return 0, false
	}
	err = kerr.ErrorForCode(topics[0].ErrorCode)
	missing := err != nil && (!kerr.IsRetriable(err) || errors.Is(err, kerr.UnknownTopicOrPartition))
	total = len(topics[0].Partitions)
	return total, total > 0 || missing
}

// leave notes that so many more partitions are about to be given up, and tells
// the observer how many of the topic's are ours without them.
func (g *group) leave(more int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving += more
	if g.counted {
		g.Observer.Share(max(0, len(g.partitions.all())-g.leaving), g.total)
	}
}
