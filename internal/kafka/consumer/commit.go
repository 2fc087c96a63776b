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
		if ctx.Err() == nil || errors.Is(err, context.DeadlineExceeded) {
			c.log.Warn().Err(err).Msg("commit offsets: will be tried again")
		}
		return
	}
	failed := false
	for _, a := range assignments {
		pos, sent := offsets[a.partition]
		if !sent {
			continue
		}
		if err := refused[a.partition]; err != nil {
			failed = true
			a.refused(err)
			c.log.Warn().Err(err).Int32("partition", a.partition).Msg("commit offset: will be tried again")
			continue
		}
		a.setCommitted(pos.Offset, keptAt[a.partition])
	}
	if failed {
		c.tally.commitFailures.Add(1)
	} else {
		c.tally.commits.Add(1)
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
