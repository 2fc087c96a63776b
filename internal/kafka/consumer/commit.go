package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitTimeout bounds one commit. A commit that fails is tried again at the
// next interval: until then the worst is a longer way back after a crash.
const commitTimeout = 10 * time.Second

// shortestInterval keeps an interval of zero from being a loop.
const shortestInterval = 5 * time.Millisecond

// checkpointDelay is how long a checkpoint waits for others to be committed
// with: the commits of a busy worker stay below a hundred a second, and a crash
// repeats at most the calls that ended in this time.
const checkpointDelay = 10 * time.Millisecond

// committer commits the offsets of assignments.
type committer struct {
	*base

	send      func(ctx context.Context, commits map[int32]commit) (refused map[int32]error, err error)
	now, soon chan struct{} // a commit is asked for; they hold one token
	underWay  chan struct{} // holds a token while a commit is under way
}

func newCommitter(b *base) *committer {
	c := &committer{base: b, now: make(chan struct{}, 1), soon: make(chan struct{}, 1), underWay: make(chan struct{}, 1)}
	c.send = c.toKafka
	return c
}

// askNow asks for a commit, and askSoon for one within checkpointDelay.
func (c *committer) askNow()  { putToken(c.now) }
func (c *committer) askSoon() { putToken(c.soon) }

func putToken(into chan<- struct{}) {
	select {
	case into <- struct{}{}:
	default: // one token is enough
	}
}

// loop commits on the interval, and when asked for, until ctx ends.
func (c *committer) loop(ctx context.Context) {
	var due <-chan time.Time
	tick := time.NewTicker(max(c.CommitInterval, shortestInterval))
	defer tick.Stop()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.now:
		case <-due:
		case <-c.soon:
			if due == nil {
				due = time.After(checkpointDelay)
			}
			continue
		case <-beat.C:
			c.Observer.Committing()
			continue
		case <-ctx.Done():
			return
		}
		due = nil
		c.commit(ctx, c.partitions.all())
		c.Observer.Committing()
	}
}

// commit commits what is committable of the assignments. One commit runs at a
// time: two at once could land in the wrong order and take an offset back.
func (c *committer) commit(ctx context.Context, assignments []*assignment) {
	c.underWay <- struct{}{}
	defer func() { <-c.underWay }()
	commits := map[int32]commit{}
	for _, a := range assignments {
		if one, ok := a.toCommit(); ok {
			commits[a.partition] = one
		}
	}
	if len(commits) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	refused, err := c.send(ctx, commits)
	if err != nil {
		c.tally.commitFailures.Add(1)
		if (ctx.Err() == nil || errors.Is(err, context.DeadlineExceeded)) && c.logged.Changed("commit", err) {
			c.Log.Warn().Err(err).Msg("commit offsets: will be tried again until it succeeds")
		}
		return
	}
	c.logged.Changed("commit", nil)
	if c.answered(assignments, commits, refused) {
		c.tally.commits.Add(1)
	} else {
		c.tally.commitFailures.Add(1)
	}
}

// answered tells the assignments what Kafka has answered, and reports whether
// it has taken all commits. Refusals are logged: once for all partitions that
// are refused for the same reason, and again when the reason changes.
func (c *committer) answered(assignments []*assignment, commits map[int32]commit, refused map[int32]error) bool {
	stood := map[error]bool{} // kerr has one value for each code
	for _, a := range assignments {
		stood[a.refusal] = true
	}
	all, changed := true, map[error][]int32{}
	for _, a := range assignments {
		sent, ok := commits[a.partition]
		if !ok {
			continue
		}
		a.refusal = refused[a.partition]
		switch {
		case a.refusal == nil:
			a.acknowledged(sent)
			continue
		case isCertain(a.refusal):
			a.refused()
		}
		all = false
		if !stood[a.refusal] {
			changed[a.refusal] = append(changed[a.refusal], a.partition)
		}
	}
	for err, partitions := range changed {
		c.Log.Warn().Err(err).Ints32("partitions", partitions).
			Msg("commit offsets: refused, will be tried again until it succeeds; what is finished is not sent again meanwhile")
	}
	return all
}

// isCertain reports whether a refusal means that Kafka has not taken the
// commit. Other errors leave that open.
func isCertain(err error) bool {
	return slices.Contains([]error{
		kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.FencedInstanceID, kerr.StaleMemberEpoch,
		kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed,
	}, err)
}

// toKafka returns the refusals by partition, or an error for the whole.
func (c *committer) toKafka(ctx context.Context, commits map[int32]commit) (map[int32]error, error) {
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				p.Metadata = new(commits[p.Partition].metadata)
			}
		}
		return nil
	})
	offsets := map[int32]kgo.EpochOffset{}
	for partition, one := range commits {
		offsets[partition] = kgo.EpochOffset{Epoch: one.epoch, Offset: one.offset}
	}
	var failure error
	refused := map[int32]error{}
	c.client.CommitOffsetsSync(
		ctx, map[string]map[int32]kgo.EpochOffset{c.Topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				failure = fmt.Errorf("commit: %w", err)
				return
			}
			for _, topic := range resp.Topics {
				for _, p := range topic.Partitions {
					refused[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
				}
			}
		},
	)
	return refused, failure
}

// beforeCall commits a record before its outcome is known, and returns nil once
// Kafka has acknowledged that. When ctx ends, which is when the assignment
// does, its answer is final.
func (c *committer) beforeCall(ctx context.Context, a *assignment, offset int64) error {
	for ctx.Err() == nil {
		moved := a.moved.Next()
		if a.ask(offset) {
			return nil
		}
		c.askNow()
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
	if passed, final := a.outcome(offset); passed || !final && c.passed(a, offset) {
		return nil
	}
	return context.Cause(ctx)
}

// passed waits for the commit that is under way, if there is one, and reports
// whether the record lies below the committed offset.
func (c *committer) passed(a *assignment, offset int64) bool {
	c.underWay <- struct{}{}
	defer func() { <-c.underWay }()
	passed, final := a.outcome(offset)
	if !passed && !final {
		c.Log.Error().Int32("partition", a.partition).Int64("offset", offset).
			Msg("a commit was not acknowledged; unless Kafka lets it be taken back, this message is not read again")
	}
	return passed
}
