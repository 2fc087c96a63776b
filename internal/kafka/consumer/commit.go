package consumer

import (
	"context"
	"errors"
	"fmt"
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

// keptDelay is how long settled recipients wait for others to be committed
// with: the commits of a busy worker stay below a hundred a second, and a
// crash repeats at most the calls that ended in this time.
const keptDelay = 10 * time.Millisecond

// askForCommit asks for a commit now, or late: within keptDelay.
func (c *Consumer) askForCommit(late bool) {
	asked := c.kick
	if late {
		asked = c.kickLate
	}
	select {
	case asked <- struct{}{}:
	default: // one token is enough
	}
}

// commitLoop commits on the interval, and when asked for.
func (c *Consumer) commitLoop(ctx context.Context) {
	var due <-chan time.Time
	tick := time.NewTicker(max(c.opts.CommitInterval, shortestInterval))
	defer tick.Stop()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.kick:
		case <-due:
		case <-c.kickLate:
			if due == nil {
				due = time.After(keptDelay)
			}
			continue
		case <-beat.C:
			c.opts.CommitBeat()
			continue
		case <-ctx.Done():
			return
		}
		due = nil
		c.commit(ctx, c.assignments())
		c.opts.CommitBeat()
	}
}

// commit commits what is finished in the assignments. One commit runs at a
// time: two at once could land in the wrong order and take an offset back.
func (c *Consumer) commit(ctx context.Context, assignments []*assignment) {
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	offsets := map[int32]kgo.EpochOffset{}
	metadata, keptAt := map[int32]string{}, map[int32]int{}
	for _, a := range assignments {
		if pos, ok := a.toCommit(); ok {
			offsets[a.partition] = pos
			metadata[a.partition], keptAt[a.partition] = a.metadata(pos.Offset)
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	refused, err := c.sendCommit(ctx, offsets, metadata)
	if err != nil {
		c.tally.commitFailures.Add(1)
		if (ctx.Err() == nil || errors.Is(err, context.DeadlineExceeded)) && c.told.Changed("commit", err) {
			c.log.Warn().Err(err).Msg("commit offsets: will be tried again until it succeeds")
		}
		return
	}
	c.told.Changed("commit", nil)
	failed := map[int32]error{}
	for _, a := range assignments {
		pos, sent := offsets[a.partition]
		if !sent {
			continue
		}
		if err := refused[a.partition]; err != nil {
			failed[a.partition] = err
			a.refused(err)
			continue
		}
		a.setCommitted(pos.Offset, keptAt[a.partition])
	}
	c.tellRefused(assignments, offsets, failed)
	if len(failed) > 0 {
		c.tally.commitFailures.Add(1)
	} else {
		c.tally.commits.Add(1)
	}
}

// tellRefused says why Kafka refuses commits: once for all partitions that it
// refuses for the same reason, and again when the reason changes. It is called
// with c.commitMu held.
func (c *Consumer) tellRefused(assignments []*assignment, sent map[int32]kgo.EpochOffset, failed map[int32]error) {
	stood := map[error]bool{} // kerr has one value for each code
	for _, a := range assignments {
		stood[a.refusal] = true
	}
	fresh := map[error][]int32{}
	for _, a := range assignments {
		if _, ok := sent[a.partition]; !ok {
			continue
		}
		if a.refusal = failed[a.partition]; a.refusal != nil && !stood[a.refusal] {
			fresh[a.refusal] = append(fresh[a.refusal], a.partition)
		}
	}
	for err, partitions := range fresh {
		c.log.Warn().Err(err).Ints32("partitions", partitions).
			Msg("commit offsets: refused, will be tried again until it succeeds; what is finished is not sent again meanwhile")
	}
}

// sendCommit returns the refusals by partition, or an error for the whole.
func (c *Consumer) sendCommit(
	ctx context.Context, offsets map[int32]kgo.EpochOffset, metadata map[int32]string,
) (map[int32]error, error) {
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				p.Metadata = new(metadata[p.Partition])
			}
		}
		return nil
	})
	var failure error
	refused := map[int32]error{}
	c.client.CommitOffsetsSync(
		ctx, map[string]map[int32]kgo.EpochOffset{c.opts.Topic: offsets},
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
