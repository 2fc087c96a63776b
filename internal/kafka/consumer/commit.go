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

// commitLoop commits on the interval, and at once when kicked.
func (c *Consumer) commitLoop(ctx context.Context) {
	tick := time.NewTicker(max(c.opts.CommitInterval, shortestInterval))
	defer tick.Stop()
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.kick:
		case <-beat.C:
			c.opts.CommitBeat()
			continue
		case <-ctx.Done():
			return
		}
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
	byPartition := map[int32]*assignment{}
	for _, a := range assignments {
		if pos, ok := a.toCommit(); ok {
			offsets[a.partition], byPartition[a.partition] = pos, a
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	refused, err := c.sendCommit(ctx, offsets, func(partition int32) string {
		return byPartition[partition].metadata(offsets[partition].Offset)
	})
	if err != nil {
		if ctx.Err() == nil || errors.Is(err, context.DeadlineExceeded) {
			c.log.Warn().Err(err).Msg("commit offsets: will be tried again")
		}
		return
	}
	for partition, pos := range offsets {
		if err := refused[partition]; err != nil {
			c.log.Warn().Err(err).Int32("partition", partition).Msg("commit offset: will be tried again")
			continue
		}
		byPartition[partition].setCommitted(pos.Offset)
	}
}

// sendCommit returns the refusals by partition, or an error for the whole.
func (c *Consumer) sendCommit(
	ctx context.Context, offsets map[int32]kgo.EpochOffset, metadata func(partition int32) string,
) (map[int32]error, error) {
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				p.Metadata = new(metadata(p.Partition))
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
