package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/fault"
	"messaging-worker/internal/ops/scan"
)

// How often progress is committed: a replay that is killed may repeat as much.
const (
	commitEvery   = time.Second
	commitRecords = 256
)

// flushTimeout bounds how long Kafka may take to acknowledge what was put back,
// also after Ctrl-C.
const flushTimeout = 30 * time.Second

// entry is one record of the dead letter topic on its way through the replay.
type entry struct {
	partition int32
	next      int64    // the offset behind it
	verdict   *Verdict // nil for a record that is none of the batch's
	err       error    // of putting it back; set before Flush returns
}

// run decides on each letter and puts back what is to be put back.
func (r *replay) run(ctx context.Context, spans []scan.Span) error {
	r.checkpointed = time.Now()
	if !r.DryRun {
		// A missing permission to commit is an error before anything was put back.
		for _, s := range spans {
			r.progress.at[s.Partition] = s.From
		}
		if err := r.progress.commit(ctx); err != nil {
			return err
		}
	}
	err := r.letters.Read(ctx, spans, nil, func(rec *kgo.Record) error { return r.visit(ctx, rec) })
	// Whatever ended the reading, what was produced is waited for.
	if checkpointErr := r.checkpoint(ctx); checkpointErr != nil {
		return errors.Join(err, checkpointErr)
	}
	if err != nil || r.DryRun {
		return err
	}
	for _, s := range spans {
		r.progress.at[s.Partition] = s.To
	}
	return r.progress.commit(ctx)
}

func (r *replay) visit(ctx context.Context, rec *kgo.Record) error {
	e := &entry{partition: rec.Partition, next: rec.Offset + 1}
	l, err := Parse(rec)
	switch {
	case err != nil:
		r.summary.Foreign++
	case r.Filter.Match(l) && l.Batch != r.Group:
		if err := r.handle(ctx, e, l); err != nil {
			return err
		}
	}
	r.pending = append(r.pending, e)
	if len(r.pending) >= commitRecords || time.Since(r.checkpointed) >= commitEvery {
		return r.checkpoint(ctx)
	}
	return nil
}

func (r *replay) handle(ctx context.Context, e *entry, l *Letter) error {
	if err := r.history.catchUp(ctx); err != nil {
		return err
	}
	v, err := r.decide(ctx, l)
	if err != nil {
		return err
	}
	e.verdict = v
	if v.Outcome != Replayed || r.DryRun {
		return nil
	}
	if err := r.limiter.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("wait for the rate: %w", err)
	}
	// An interruption must not cancel what is under way: its acknowledgement
	// is what keeps the next run from repeating it.
	v.lane.writing.Produce(context.WithoutCancel(ctx), v.record, func(_ *kgo.Record, err error) { e.err = err })
	return nil
}

// checkpoint waits for what was put back and commits, for each partition, up to
// where everything is done. It does so after the end of ctx too: what is
// acknowledged and not committed would be repeated.
func (r *replay) checkpoint(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := r.lanes.flush(ctx); err != nil {
		return fault.New(fault.Stopped, "wait for Kafka to take the requests: %w", err)
	}
	done := r.pending
	r.pending, r.checkpointed = nil, time.Now()
	blocked := map[int32]bool{}
	var failed error
	for _, e := range done {
		if errors.Is(e.err, kerr.MessageTooLarge) { // a matter of this request alone
			e.verdict.refuse("the request topic refuses it as too large")
			e.err = nil
		}
		if e.err != nil {
			blocked[e.partition] = true
			failed = fault.New(fault.StoppedAt, "put %s back: %w", e.verdict.Record, e.err)
			continue
		}
		if e.verdict != nil {
			if err := r.report(e.verdict); err != nil {
				return err
			}
		}
		if !blocked[e.partition] {
			r.progress.at[e.partition] = e.next
		}
	}
	if r.DryRun {
		return failed
	}
	return errors.Join(failed, r.progress.commit(ctx))
}
