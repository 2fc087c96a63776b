package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"messaging-worker/internal/ops/scan"
)

// How often progress is noted: a replay that is killed may repeat as much.
const (
	noteEvery   = time.Second
	noteRecords = 256
)

// noteWithin bounds how long Kafka may take to acknowledge what was put back,
// also after Ctrl-C.
const noteWithin = 30 * time.Second

// entry is one record of the dead letter topic on its way through the replay.
type entry struct {
	partition int32
	next      int64    // the offset behind it
	verdict   *Verdict // nil for a record that is none of the batch's
	err       error    // of putting it back; set before Flush returns
}

// run decides on each letter and puts back what is to be put back.
func (r *replay) run(ctx context.Context, spans []scan.Span) error {
	r.noted = time.Now()
	if !r.DryRun {
		if err := r.progress.begin(ctx, spans); err != nil {
			return err
		}
	}
	err := r.letters.Read(ctx, spans, nil, func(rec *kgo.Record) error { return r.visit(ctx, rec) })
	// Whatever ended the reading: what was produced is waited for and noted.
	if noteErr := r.note(ctx); noteErr != nil {
		return errors.Join(err, noteErr)
	}
	if err == nil && !r.DryRun {
		err = r.progress.finish(ctx, spans)
	}
	return err
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
	if len(r.pending) >= noteRecords || time.Since(r.noted) >= noteEvery {
		return r.note(ctx)
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
	// Ctrl-C must not take back what is on its way: its acknowledgement is
	// what keeps the next run from repeating it.
	r.writing.Produce(context.WithoutCancel(ctx), v.record, func(_ *kgo.Record, err error) { e.err = err })
	return nil
}

// note waits for what was put back and notes, for each partition, how far
// everything before is done. The end of ctx does not keep it from that: what is
// acknowledged and not noted would be repeated.
func (r *replay) note(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := r.writing.Flush(ctx); err != nil {
		return fmt.Errorf("wait for Kafka to take the requests: %w; run the same command again, it goes on", err)
	}
	done := r.pending
	r.pending, r.noted = nil, time.Now()
	stuck := map[int32]bool{}
	var failed error
	for _, e := range done {
		if errors.Is(e.err, kerr.MessageTooLarge) { // a matter of this request alone
			e.verdict.refuse("the request topic refuses it as too large")
			e.err = nil
		}
		if e.err != nil {
			stuck[e.partition] = true
			failed = fmt.Errorf("put %s back: %w; run the same command again, it goes on there", e.verdict.Letter.At, e.err)
			continue
		}
		if e.verdict != nil {
			if err := r.tell(e.verdict); err != nil {
				return err
			}
		}
		if !stuck[e.partition] {
			r.progress.at[e.partition] = e.next
		}
	}
	if r.DryRun {
		return failed
	}
	return errors.Join(failed, r.progress.commit(ctx))
}
