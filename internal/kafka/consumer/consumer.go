// Package consumer reads a request topic as a member of a consumer group,
// hands every record to a handler in a goroutine of its own, and commits the
// offsets of what is finished.
package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/pool"
)

// ErrDrain means that a drain ran out of time: provider calls were cut.
var ErrDrain = errors.New("drain ran out of time; messages whose offset is not committed are read again")

// Consumer is one member of the group.
type Consumer struct {
	*base

	committer *committer
	runner    *runner
	recovery  *recovery
	poller    *poller
	group     *group
}

// New makes a consumer. Errors are those of the options; it does not connect.
func New(o Options, handle Handler) (*Consumer, error) {
	if _, err := o.Kafka.Client(o.Log); err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	b := &base{Options: o, started: make(chan struct{}), partitions: newPartitions()}
	c := &Consumer{base: b, committer: newCommitter(b)}
	c.runner = &runner{
		base: b, handle: handle, committer: c.committer, pool: pool.New(o.MaxAtWork),
		pending:    newPending(o.MaxPendingMessages, o.MaxPendingBytes),
		membership: newMembership(o.SessionTimeout-membershipSlack, b.isMember),
	}
	c.recovery = &recovery{base: b, committer: c.committer}
	assigns := &assigner{base: b, pool: c.runner.pool, recovery: c.recovery}
	c.poller = &poller{base: b, assigner: assigns, runner: c.runner}
	c.group = &group{
		base: b, committer: c.committer, assigner: assigns, recovery: c.recovery, poller: c.poller,
		membership: c.runner.membership, recount: make(chan struct{}, 1),
	}
	return c, nil
}

// Run reads until life is stopped, then drains: provider calls under way may
// end until it is cut. It returns nil after a clean drain, ErrDrain when life
// was cut first, and another error when the group has put us out for good.
func (c *Consumer) Run(life *lifetime.Lifetime) error {
	life = life.Child()
	defer life.Cut(nil)
	opts, err := c.group.clientOptions(life)
	if err != nil {
		return err
	}
	if c.client, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("make consumer: %w", err)
	}
	defer c.client.CloseAllowingRebalance()
	defer c.runner.pool.Close()
	close(c.started)

	committing, stopCommits := context.WithCancel(life.Calls())
	var commits sync.WaitGroup
	commits.Go(func() { c.committer.loop(committing) })
	commits.Go(func() { c.measureLoop(committing) })
	commits.Go(func() { c.group.countLoop(committing) })
	c.poller.loop(life)

	cause := context.Cause(life.Waiting())
	inTime := c.shutDown(life.Calls(), cause)
	inTime = c.partitions.awaitOutliving(life.Calls()) && inTime
	stopCommits()
	commits.Wait()
	c.recovery.readings.Wait()
	switch {
	case isFatal(cause):
		return cause
	case !inTime:
		return ErrDrain
	}
	return nil
}

// shutDown ends everything and leaves the group with its offsets committed.
func (c *Consumer) shutDown(calls context.Context, cause error) bool {
	assignments := c.partitions.all()
	if isFatal(cause) {
		// Another member owns our partitions already: what we would still do,
		// it does, unless that is committed.
		for _, a := range assignments {
			a.abandon(cause)
		}
	}
	inTime := drain(calls, c.partitions.withFormer(assignments), cause)
	for _, a := range assignments {
		a.handlers.Wait() // at once: what was not in time is cut
	}
	if isFatal(cause) {
		return inTime
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(calls), 5*time.Second)
	defer cancel()
	c.committer.commit(last, assignments)
	if err := c.client.LeaveGroupContext(last); err != nil {
		c.Log.Warn().Err(err).Msg("leave group: the others take over when the session times out")
	}
	return inTime
}

// State describes the consumer's part in the group.
type State struct {
	Joined     bool  // has joined the group, even if it was given no partition
	Partitions int   // how many it owns
	Err        error // why requests or the journal cannot be read or the group be joined, or nil
}

// State returns the present state. It may be called at any time.
func (c *Consumer) State() State {
	s := State{Partitions: len(c.partitions.all()), Err: c.failing.Standing()}
	if s.Partitions > 0 { // who owns none reads none
		s.Err = errors.Join(c.partitions.faults.Standing(), s.Err)
	}
	if c.running() {
		_, generation := c.client.GroupMetadata()
		s.Joined = generation >= 0
	}
	return s
}

// LookAgain makes the client ask for the topic now instead of at its next
// regular look.
func (c *Consumer) LookAgain() {
	if c.running() {
		c.client.ForceMetadataRefresh()
	}
}

// Stats is what a consumer has done since its start, and what it has in hand.
type Stats struct {
	PendingMessages int   // read and not finished
	PendingBytes    int64 // of payload, of those

	Commits        uint64 // acknowledged
	CommitFailures uint64 // refused, in whole or in part, or not answered
	JournalRecords uint64 // events read back

	// Requests that were read again after an assignment, by what the journal
	// said of them: ended, begun, nothing.
	Finished, Resumed, New uint64

	Partitions []Partition // owned, ascending
}

// Stats returns the present numbers. It may be called at any time.
func (c *Consumer) Stats() Stats {
	s := Stats{
		Commits: c.tally.commits.Load(), CommitFailures: c.tally.commitFailures.Load(),
		JournalRecords: c.tally.journalRecords.Load(),
		Finished:       c.tally.finished.Load(), Resumed: c.tally.resumed.Load(), New: c.tally.new.Load(),
	}
	s.PendingMessages, s.PendingBytes = c.runner.pending.count()
	for _, a := range c.partitions.all() {
		s.Partitions = append(s.Partitions, a.stats())
	}
	slices.SortFunc(s.Partitions, func(a, b Partition) int { return cmp.Compare(a.Number, b.Number) })
	return s
}
