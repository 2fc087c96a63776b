package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/models"
	"messaging-worker/internal/worker/route"
)

// errNotStarted is the failure of a call that the stop signal kept from being
// made after its attempt was published.
var errNotStarted = errors.New("worker stopped before the call")

// result is how one provider call ended.
type result struct {
	recipients    []int
	response      models.ProviderResponse
	failure       *common.Failure // nil: all recipients were accepted
	indeterminate bool            // who was not told anything is taken for accepted
	withdrawn     bool            // the call was not made
	ordered       bool            // because of an order
	unspent       bool            // the call was made and says nothing of the message
	letIn         int             // of the verdict that postponed its message; 0 for none
}

// attempt makes the next round of provider calls, one for each unit that is
// still open, and folds their results into m. An error means that the worker
// is stopping; then no call is under way any more.
func (e *Engine) attempt(life *lifetime.Lifetime, m *job) error {
	units := m.progress.OpenUnits(m.delivery.Units)
	if err := e.enter(life, m, units); err != nil {
		return err
	}
	if err := e.announce(life, m); err != nil {
		m.route.Withdraw(&m.admission, len(units))
		return err
	}
	e.opts.Pending.show(m, calling, time.Time{})
	results := e.run(life, m, units)
	for _, r := range results {
		if r.failure != nil && life.Calls().Err() != nil {
			return context.Cause(life.Calls()) // the call was cut: nobody knows its outcome
		}
	}
	m.endRound(results)
	return nil
}

// announce publishes the attempt and waits for its acknowledgement: no call
// is made that the status topic does not know of.
func (e *Engine) announce(life *lifetime.Lifetime, m *job) error {
	if m.lease.AtMostOnce() && !m.committed {
		if err := m.lease.CommitBeforeCall(life.Waiting()); err != nil {
			return fmt.Errorf("commit before the first call: %w", err)
		}
		m.committed = true
	}
	attempt, run := m.progress.Next()
	m.publish(life.Calls(), models.StatusEvent{EventType: models.EventAttempt, Attempt: attempt, Run: run})
	if err := withGrace(life.Waiting(), life.Calls(), m.flush); err != nil {
		return err
	}
	m.dropCheckpoint()
	return nil
}

// run makes the calls of a round and records what became of their recipients.
// Until the last call of the round has ended no event says so: the lease's
// checkpoint does.
func (e *Engine) run(life *lifetime.Lifetime, m *job, units [][]int) []result {
	results := make([]result, len(units))
	if len(units) == 1 {
		results[0] = e.call(life, m, units[0])
		m.applyResult(&results[0])
		return results
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		left = len(units)
	)
	for i, unit := range units {
		wg.Go(func() {
			r := e.call(life, m, unit)
			mu.Lock()
			defer mu.Unlock()
			results[i] = r
			m.applyResult(&r)
			if left--; left > 0 {
				m.checkpoint()
			}
		})
	}
	wg.Wait()
	return results
}

// call makes one provider call, once the route lets it start.
func (e *Engine) call(life *lifetime.Lifetime, m *job, recipients []int) result {
	started, err := e.start(life, m, recipients)
	for err == nil {
		if err = m.lastLook(started); err != nil {
			break
		}
		r := e.callNow(life.Calls(), m, recipients, started)
		if r.failure == nil || !r.failure.NotCalled {
			return r
		}
		if err = life.Waiting().Err(); err == nil { // else it had its grace
			started, err = e.start(life, m, recipients)
		}
	}
	m.route.Withdraw(&m.admission, 1)
	return notMade(recipients, err)
}

// start waits until the route lets a call start, or the message expires or may not
// be called any more.
func (e *Engine) start(life *lifetime.Lifetime, m *job, recipients []int) (c route.Call, err error) {
	ctx, cancel := e.untilOrdered(life.Waiting(), m)
	defer cancel()
	calls, cancelCalls := e.untilOrdered(life.Calls(), m)
	defer cancelCalls()
	err = withGrace(ctx, calls, func(ctx context.Context) (err error) {
		c, err = m.route.Start(ctx, &m.admission, recipients)
		return err
	})
	return c, err
}

// callNow makes a call that was let start, and tells the route how it ended.
// Its failure may be that the provider could not take it.
func (e *Engine) callNow(calls context.Context, m *job, recipients []int, started route.Call) result {
	ctx, cancel := context.WithTimeout(calls, e.opts.CallTimeout)
	defer cancel()
	response, err := e.send(ctx, m, common.Call{Attempt: m.progress.Spent(), Recipients: recipients})
	r := result{recipients: recipients, response: response, failure: common.Classify(err)}
	cut := calls.Err() != nil
	if !cut && r.failure != nil {
		e.limit(&r)
	}
	r.apply(m.route.End(started, route.Outcome{
		Failure: r.failure, Cut: cut,
		Critical: m.progress.Spent() == e.opts.MaxAttempts-1 && r.again(),
		Last:     m.progress.Spent() >= e.opts.MaxAttempts, LetIn: m.letIn,
	}))
	return r
}

// limit bounds how long a provider may keep us waiting, and repeats nothing that
// may have been accepted where the settings want that.
func (e *Engine) limit(r *result) {
	f := *r.failure
	f.RetryAfter = min(f.RetryAfter, e.opts.RetryAfterMax)
	if f.Ambiguous && e.opts.AmbiguousToDLQ {
		f.Class, r.indeterminate = models.FailureUnknown, true
	}
	r.failure = &f
}

// send turns a panic of adapter or provider into an unknown outcome.
func (e *Engine) send(ctx context.Context, m *job, call common.Call) (resp models.ProviderResponse, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.logPanic(r, "send", m.record)
			resp = models.ProviderResponse{Status: models.StatusUnknown}
			err = common.Unknown(fmt.Errorf("panic in the %s provider", e.opts.Channel))
		}
	}()
	return m.delivery.Send(ctx, call)
}

// withGrace waits with ctx, and when that ends, a grace more.
func withGrace(ctx, calls context.Context, wait func(context.Context) error) error {
	err := wait(ctx)
	if err == nil || calls.Err() != nil {
		return err
	}
	last, cancel := context.WithTimeoutCause(calls, grace, context.Cause(ctx))
	defer cancel()
	return wait(last)
}

// apply turns a refusal that is not the message's into a failure for now.
func (r *result) apply(v route.Verdict) {
	if !v.Postponed {
		return
	}
	f := *r.failure
	f.Class, f.Unexplained = models.FailureTransient, ""
	if f.Refused != nil || f.Open != nil {
		f.Open = slices.Sorted(slices.Values(append(slices.Clone(f.Open), f.Refused...)))
		f.Answers = maps.Clone(f.Answers)
		for _, i := range f.Refused {
			if answer, ok := f.Answers[i]; ok {
				answer.Class, answer.Response.Status = models.FailureTransient, models.StatusUnavailable
				f.Answers[i] = answer
			}
		}
		f.Refused = []int{}
	}
	r.failure, r.unspent, r.letIn = &f, v.Unspent, v.LetIn
	r.response.Status = models.StatusUnavailable
}
