// Package consumer reads a request topic as a member of a consumer group,
// hands every record to a handler in a goroutine of its own, and commits the
// offsets of what is finished.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
)

// Handler takes one record to its outcome. A nil error means that the outcome
// is durable and the offset may be committed; an error means only that life has
// ended, and the record will be read again. With AtMostOnce an error after
// Lease.CommitBeforeCall has returned nil means that life was cut, and nobody
// reads the record again.
type Handler func(life *lifetime.Lifetime, rec *models.Record, progress message.Progress, lease *Lease) error

// ErrDrain means that a drain ran out of time: provider calls were cut.
var ErrDrain = errors.New("drain ran out of time; messages whose offset is not committed are read again")

// Options of a Consumer. All but InstanceID, AtMostOnce, the beats and Log
// are required.
type Options struct {
	Kafka          kafka.Options
	Topic          string
	StatusTopic    string // the journal of what was done
	Group          string
	InstanceID     string // static membership; empty for none
	SessionTimeout time.Duration
	CommitInterval time.Duration
	LongestCall    time.Duration // how long a provider call may take; bounds a hand-over

	MaxAtWork          int // handlers that run at once; others wait for room
	MaxPendingMessages int
	MaxPendingBytes    int64

	// AtMostOnce commits a record before its first provider call.
	AtMostOnce bool

	// Acked returns the highest status offset of a status partition that is
	// known to be written, or -1.
	Acked func(partition int32) int64

	// Settled waits until all events that were handed over for records of a
	// request partition are written, or for ctx.
	Settled func(ctx context.Context, partition int32) error

	// Share, where it is not nil, is told which part of the topic's partitions
	// is ours, 0 to 1: a smaller part before partitions are given up, a larger
	// one after they were assigned.
	Share func(part float64)

	// PollBeat and CommitBeat are called at least every few seconds while
	// their loop moves. Nil means that nobody watches.
	PollBeat, CommitBeat func()

	// PollEnd is called once, when the poll loop has come to its end and the
	// drain begins.
	PollEnd func()

	Log zerolog.Logger
}

// Consumer is one member of the group.
type Consumer struct {
	opts       Options
	client     *kgo.Client
	handler    Handler
	log        zerolog.Logger
	pending    *pending
	membership *membership
	crew       *crew
	tally      tally
	faults     faults         // of reading requests
	told       kafka.ErrorLog // errors that stand and were logged

	kick, kickLate chan struct{} // see askForCommit; they hold one token

	recoveries sync.WaitGroup // readings of the journal
	outliving  sync.WaitGroup // at most once: partitions that are gone, while their handlers work

	commitMu sync.Mutex // held by the one commit under way

	started chan struct{} // closed once client is set

	// assigning is held while a partition gets its assignment and the client
	// its position, and while one is taken away: never both at once.
	assigning sync.Mutex

	mu       sync.Mutex
	polling  *polling // the latest
	owned    map[int32]*assignment
	total    int                   // partitions of the topic; 0 while it is not known
	leaving  int                   // how many of the owned are about to be given up
	lately   map[int32]*assignment // the latest that was forgotten of a partition
	groupErr error                 // what ended the last group session; nil once partitions were assigned

	journalErrs map[*kafka.ErrorLog]error // of readings of the journal that have failed and are tried again
}

// New makes a consumer. Errors are those of the options; it does not connect.
func New(o Options, handler Handler) (*Consumer, error) {
	if o.PollBeat == nil {
		o.PollBeat = func() {}
	}
	if o.PollEnd == nil {
		o.PollEnd = func() {}
	}
	if o.CommitBeat == nil {
		o.CommitBeat = func() {}
	}
	if _, err := o.Kafka.Client(o.Log); err != nil {
		return nil, fmt.Errorf("make consumer: %w", err)
	}
	c := &Consumer{
		opts: o, handler: handler, log: o.Log,
		pending: newPending(o.MaxPendingMessages, o.MaxPendingBytes),
		kick:    make(chan struct{}, 1), kickLate: make(chan struct{}, 1),
		crew:    &crew{limit: o.MaxAtWork},
		started: make(chan struct{}),
		owned:   map[int32]*assignment{},
		lately:  map[int32]*assignment{},

		journalErrs: map[*kafka.ErrorLog]error{},
	}
	c.membership = newMembership(o.SessionTimeout-membershipSlack, c.isMember)
	return c, nil
}

// Run reads until life is stopped, then drains: provider calls under way may
// end until it is cut. It returns nil after a clean drain, ErrDrain when life
// was cut first, and another error when the group has put us out for good.
func (c *Consumer) Run(life *lifetime.Lifetime) error {
	life = life.Child()
	defer life.Cut(nil)
	opts, err := c.clientOptions(life)
	if err != nil {
		return err
	}
	if c.client, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("make consumer: %w", err)
	}
	defer c.client.CloseAllowingRebalance()
	defer c.crew.dismiss()
	close(c.started)

	committing, stopCommits := context.WithCancel(life.Calls())
	var commits sync.WaitGroup
	commits.Go(func() { c.commitLoop(committing) })
	commits.Go(func() { c.measureLoop(committing) })
	c.pollLoop(life)

	cause := context.Cause(life.Waiting())
	inTime := c.shutDown(life.Calls(), cause)
	inTime = c.outlast(life.Calls()) && inTime
	stopCommits()
	commits.Wait()
	c.recoveries.Wait()
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
	assignments := c.assignments()
	if isFatal(cause) {
		// A twin owns our partitions already: what we would still do, it does,
		// unless that is committed.
		for _, a := range assignments {
			a.abandon(cause)
		}
	}
	inTime := drain(calls, append(c.former(assignments), assignments...), cause)
	for _, a := range assignments {
		a.handlers.Wait() // at once: what was not in time is cut
	}
	if isFatal(cause) {
		return inTime
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(calls), 5*time.Second)
	defer cancel()
	c.commit(last, assignments)
	if err := c.client.LeaveGroupContext(last); err != nil {
		c.log.Warn().Err(err).Msg("leave group: the others take over when the session times out")
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
	c.mu.Lock()
	s := State{Partitions: len(c.owned), Err: errors.Join(c.groupErr, c.journalErr())}
	c.mu.Unlock()
	if s.Partitions > 0 { // who owns none reads none
		s.Err = errors.Join(c.faults.standing(), s.Err)
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

func (c *Consumer) running() bool {
	select {
	case <-c.started:
		return true
	default:
		return false
	}
}

func (c *Consumer) assignments() []*assignment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.owned))
}

// isFatal reports the errors after which a rejoin would go on for ever: a
// twin with our instance id has taken our place.
func isFatal(err error) bool { return errors.Is(err, kerr.FencedInstanceID) }
