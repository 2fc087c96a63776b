package consumer

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/message"
	"messaging-worker/internal/models"
	"messaging-worker/internal/pool"
)

// Handler takes one record to its outcome. A nil error means that the outcome
// is durable and the offset may be committed; an error means only that life has
// ended, and the record will be read again. With AtMostOnce an error after
// Lease.CommitBeforeCall has returned nil means that life was cut, and nobody
// reads the record again.
type Handler func(life *lifetime.Lifetime, rec *models.Record, progress message.Progress, lease *Lease) error

// Lease is the right to handle one record, for as long as its partition is
// assigned to this consumer. It is safe for concurrent use.
type Lease struct {
	runner     *runner
	assignment *assignment
	record     models.Record
}

// AtMostOnce reports that nobody reads the record again once CommitBeforeCall
// has returned nil.
func (l *Lease) AtMostOnce() bool { return l.assignment.policy.outlives() }

// CommitBeforeCall commits the record, and returns nil once Kafka has
// acknowledged that. After the end of ctx its answer is final, and an error
// means that the record is read again. It is called only where AtMostOnce.
func (l *Lease) CommitBeforeCall(ctx context.Context) error {
	return l.runner.committer.beforeCall(ctx, l.assignment, l.record.Offset)
}

// Await returns nil while this consumer is a member of the group. Where no
// heartbeat was answered for too long, another worker may own the partition
// already: then it waits for an answer, or for ctx. A record that is committed
// before its first call is read by nobody else, so there it never waits.
func (l *Lease) Await(ctx context.Context) error {
	if l.assignment.policy.outlives() {
		return nil
	}
	return l.runner.membership.wait(ctx)
}

// Yield runs a long wait, and lets another record's handler work meanwhile.
func (l *Lease) Yield(wait func() error) error { return l.runner.pool.Yield(wait) }

// Checkpoint stores with the next commits which recipients need no further
// call. It replaces what was stored for the record before. At most once, it
// does nothing.
func (l *Lease) Checkpoint(r message.Resolved) {
	if l.assignment.checkpoint(&l.record, r) {
		l.runner.committer.askSoon()
	}
}

// runner runs the handler of each admitted record.
type runner struct {
	*base

	handle     Handler
	pool       *pool.Pool
	pending    *pending
	membership *membership
	committer  *committer
}

// job is the handling of one record: one allocation for all that it needs.
type job struct {
	Lease

	progress message.Progress
}

// start hands an admitted record over. It does not wait for its handler.
func (r *runner) start(a *assignment, rec *kgo.Record, progress message.Progress) {
	a.tasks.Start(&job{Lease{r, a, record(rec)}, progress})
}

// Run implements pool.Task.
func (j *job) Run() {
	r, a, rec := j.runner, j.assignment, &j.record
	defer a.handlers.Done()
	defer r.pending.release(int64(len(rec.Value)))
	// A process that stood still may have lost the partition to a worker that has
	// ended the message by now: nothing is written of it before that is known.
	err := j.Await(a.life.Waiting())
	if err == nil {
		err = r.handle(a.life, rec, j.progress, &j.Lease)
	}
	switch {
	case err == nil:
		a.finish(rec)
	case a.life.Waiting().Err() == nil:
		r.unfinished(rec, err, "message left unfinished; it is read again after a restart")
	case a.policy.outlives() && a.passed(rec.Offset):
		r.unfinished(rec, err, "message cut before its outcome; its offset is committed, so it is not read again")
	}
}

func (r *runner) unfinished(rec *models.Record, err error, what string) {
	r.Log.Error().Err(err).Int32("partition", rec.Partition).Int64("offset", rec.Offset).Msg(what)
}

// record copies r out of the client's fetch buffer: one message that backs
// off for minutes must not keep a whole batch in memory.
func record(r *kgo.Record) models.Record {
	both := make([]byte, 0, len(r.Key)+len(r.Value)) // nil stays nil: a null value is not an empty one
	rec := models.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp,
	}
	if r.Key != nil {
		both = append(both, r.Key...)
		rec.Key = slices.Clip(both)
	}
	if r.Value != nil {
		both = append(both, r.Value...)
		rec.Value = both[len(r.Key):]
	}
	if len(r.Headers) > 0 {
		rec.Headers = make([]models.Header, len(r.Headers))
		for i, h := range r.Headers {
			rec.Headers[i] = models.Header{Key: h.Key, Value: slices.Clone(h.Value)}
		}
	}
	return rec
}
