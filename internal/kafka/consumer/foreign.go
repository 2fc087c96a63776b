package consumer

import "messaging-worker/internal/kafka/journal"

// warnOfForeign tells which requests a commit has passed that no worker made:
// that of a member of another kind in our group, or a reset by hand. Nobody has
// sent them, and nobody will.
func (c *Consumer) warnOfForeign(partition int32, f journal.Found) {
	if !f.Foreign {
		return
	}
	first, by := f.LogStart, "the log's start: no status event tells of a request"
	if f.Handled >= 0 {
		first, by = f.Handled+1, "the latest request that a status event tells of"
	}
	if last := c.lastCommit(partition); last >= 0 {
		first, by = last, "the last commit of this worker"
	}
	if first = max(first, f.LogStart); first >= f.Start {
		return // it went back, or passed nothing
	}
	c.log.Warn().Str("topic", c.opts.Topic).Int32("partition", partition).Str("group", c.opts.Group).
		Int64("first_offset", first).Int64("last_offset", f.Start-1).Str("known_by", by).
		Msg("the group's offset was committed by something that is no worker: requests in this range are not sent; " +
			"to have them sent, stop the workers and reset the offset to first_offset: what is finished is not sent again")
}

// lastCommit returns what this process committed last of a partition that it
// owned before, or -1.
func (c *Consumer) lastCommit(partition int32) int64 {
	c.mu.Lock()
	before := c.lately[partition]
	c.mu.Unlock()
	if before == nil {
		return -1
	}
	before.mu.Lock()
	defer before.mu.Unlock()
	return before.committed
}
