// Package follow reads a topic whole, and then takes each record that is added:
// for compacted topics, whose records say what holds at present, by key.
package follow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
)

// Options of a Follower. All but Log are required.
type Options struct {
	Kafka kafka.Options
	Topic string
	Log   zerolog.Logger
}

// Table takes what the topic says. Its methods are called one at a time.
type Table interface {
	// Begin says that the topic is about to be read from its beginning: at first,
	// and again where it was created again or cut. What is known holds until
	// Complete.
	Begin()

	// Apply takes a committed record. Of those with one key the last counts.
	Apply(rec *models.Record)

	// Complete says that all has been applied that was in the topic when it
	// began: what Apply was given since then takes the place of what was known.
	// Each further Apply changes that.
	Complete()
}

// Follower keeps a Table as the topic is, in every partition of it. It is safe
// for concurrent use.
type Follower struct {
	opts   Options
	table  Table
	logged kafka.ErrorLog
	ready  chan struct{}

	mu      sync.Mutex
	current time.Time // Kafka had nothing newer then than what is applied
	err     error
}

// errUnread is what is wrong before anything else is known to be.
var errUnread = errors.New("is not read to its end yet")

// New makes a follower, which does nothing before Run. Errors are those of the
// options; it does not connect.
func New(o Options, t Table) (*Follower, error) {
	if _, err := o.Kafka.Client(o.Log); err != nil {
		return nil, fmt.Errorf("make follower: %w", err)
	}
	f := &Follower{opts: o, table: t, ready: make(chan struct{}), current: time.Now()}
	f.err = fmt.Errorf("topic %s %w", o.Topic, errUnread)
	return f, nil
}

// Ready returns a channel that is closed once the topic was read to its end for
// the first time.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Age returns how long ago Kafka said last that it has nothing newer than what
// is applied. Before the first time it counts from New.
func (f *Follower) Age() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.current)
}

// Err returns why the topic cannot be read at present, or nil while it is read
// to its end.
func (f *Follower) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// How often Kafka is asked where the topic ends, and before it is read to its
// end, while somebody waits for that; and how often whether it may be read.
const (
	lookInterval   = time.Second
	unreadInterval = 100 * time.Millisecond
	beginInterval  = 200 * time.Millisecond
)

// maxWait is how long Kafka may keep a fetch that finds nothing. A record that
// comes meanwhile ends the wait.
const maxWait = 250 * time.Millisecond

// Run follows the topic until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	for {
		err := f.read(ctx)
		if ctx.Err() != nil {
			return
		}
		f.failed(fmt.Errorf("topic %s is read again: %w", f.opts.Topic, err))
		if lifetime.Sleep(ctx, lookInterval) != nil {
			return
		}
	}
}

// read reads the topic from its beginning and follows it, until ctx ends or the
// topic is no longer what was read. It returns why.
func (f *Follower) read(ctx context.Context) error {
	opts, err := f.opts.Kafka.Client(f.opts.Log)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(
		opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(maxWait), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	defer client.Close()
	r := &reading{Follower: f, client: client}
	if err := r.begin(ctx); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var looking sync.WaitGroup
	looking.Go(func() { end(r.look(ctx)) })
	end(r.take(ctx))
	looking.Wait()
	return context.Cause(ctx)
}

// failed notes why the topic cannot be read now.
func (f *Follower) failed(err error) {
	if f.logged.Changed(f.opts.Topic, err) {
		f.opts.Log.Warn().Err(err).Msg("a topic that is followed is not read at present: will be tried again; what is known of it holds")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// upToDate notes that Kafka had nothing at that time that is not applied.
func (f *Follower) upToDate(at time.Time) {
	if f.logged.Changed(f.opts.Topic, nil) {
		f.opts.Log.Info().Str("topic", f.opts.Topic).Msg("a topic that is followed is read again")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = nil
	if at.After(f.current) {
		f.current = at
	}
}
