package consumer

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"messaging-worker/internal/models"
)

// At most once, a record's commit is acknowledged before its first call, and a
// commit passes all records below it too, begun or not. The invariant, after a
// stop, a rebalance or a loss of the partition:
//
//   - a record below the committed offset has its final event, or a handler
//     that was told by commitFirst to go on and takes it there
//   - a handler that was told that it may not belongs to a record at or above
//     the committed offset, which is read again
//
// So a handler that is still waiting when its assignment stops has to be told
// what no commit will change any more. Commits that were composed before the
// stop are waited for, and those after it take no begun record along.

// commitFirst lets the commit pass the record before its outcome is known, and
// returns nil once it has. When ctx ends, which is when the assignment does,
// its answer is final.
func (c *Consumer) commitFirst(ctx context.Context, a *assignment, rec *models.Record) error {
	for ctx.Err() == nil {
		done, moved := a.ask(rec.Offset)
		if done {
			return nil
		}
		a.kick(false)
		select {
		case <-moved:
		case <-ctx.Done():
		}
	}
	if passed, final := a.settled(rec.Offset); passed || !final && c.passed(a, rec.Offset) {
		return nil
	}
	return context.Cause(ctx)
}

// passed waits for the commit that is under way, if there is one, and reports
// whether the record lies below the committed offset.
func (c *Consumer) passed(a *assignment, offset int64) bool {
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	passed, final := a.settled(offset)
	if !passed && !final {
		c.log.Error().Int32("partition", a.partition).Int64("offset", offset).
			Msg("a commit was not acknowledged; unless Kafka lets it be taken back, this message is not read again")
	}
	return passed
}

// ask has the next commit pass the record, and reports whether one did already;
// if not, moved is closed at the next one.
func (a *assignment) ask(offset int64) (done bool, moved <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if offset >= a.begun.offset {
		a.begun = position{offset: offset + 1, epoch: -1}
	}
	return a.committed > offset, a.moved
}

// settled reports whether a commit has passed the record, and whether that is
// final. It stops the assignment: commits from now on ask for no begun record.
func (a *assignment) settled(offset int64) (passed, final bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	return a.committed > offset, a.sent <= offset
}

// isPassed reports whether a commit has passed the record.
func (a *assignment) isPassed(offset int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.committed > offset
}

// fetched notes the offset that the group had when the partition was given to
// us.
func (a *assignment) fetched(committed int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.committed = max(a.committed, committed)
	a.known = true
}

// refused notes that Kafka did not take the last commit, where it is sure of
// that: other errors leave open whether it did.
func (a *assignment) refused(err error) {
	sure := []error{
		kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.RebalanceInProgress, kerr.FencedInstanceID, kerr.StaleMemberEpoch,
		kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed,
	}
	if !slices.ContainsFunc(sure, func(e error) bool { return errors.Is(err, e) }) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = a.sentFirst
}

// outlast waits, until calls ends, for handlers whose partitions are gone, and
// reports whether all returned in time.
func (c *Consumer) outlast(calls context.Context) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.outliving.Wait()
	}()
	select {
	case <-done:
		return true
	case <-calls.Done():
	}
	<-done // their calls have been cut
	return false
}
