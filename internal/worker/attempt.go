package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// errNotStarted is the failure of a call that the stop signal kept from being
// made after its attempt was published.
var errNotStarted = errors.New("worker stopped before the call")

// result is how one provider call ended.
type result struct {
	recipients []int
	response   models.ProviderResponse
	failure    *common.Failure // nil: all recipients were accepted
	notStarted bool
}

// attempt makes the next round of provider calls, one for each unit that is
// still open, and folds their results into m. An error means that the worker
// is stopping; then no call is under way any more.
func (e *Engine) attempt(ctx, calls context.Context, m *message, begin func(context.Context) error) error {
	units := m.openUnits()
	if err := e.gate.Ahead(ctx, len(units)); err != nil {
		return errors.Join(err, m.flush(calls))
	}
	if err := e.announce(ctx, calls, m, begin); err != nil {
		e.gate.Withdraw(len(units))
		return err
	}
	results := e.run(ctx, calls, m, units)
	for _, r := range results {
		if r.failure != nil && calls.Err() != nil {
			return context.Cause(calls) // the call was cut: nobody knows its outcome
		}
	}
	m.absorb(results)
	return nil
}

// announce publishes the attempt and waits for its acknowledgement: no call
// is made that the status topic does not know of.
func (e *Engine) announce(ctx, calls context.Context, m *message, begin func(context.Context) error) error {
	if begin != nil && m.attempt == 0 {
		if err := begin(ctx); err != nil {
			return fmt.Errorf("commit before the first call: %w", err)
		}
	}
	m.attempt++
	m.publish(models.EventAttempt, nil, "")
	return lastChance(ctx, calls, m.flush)
}

func (e *Engine) run(ctx, calls context.Context, m *message, units [][]int) []result {
	results := make([]result, len(units))
	if len(units) == 1 {
		results[0] = e.call(ctx, calls, m, units[0])
		return results
	}
	var wg sync.WaitGroup
	for i, unit := range units {
		wg.Go(func() { results[i] = e.call(ctx, calls, m, unit) })
	}
	wg.Wait()
	return results
}

// call makes one provider call in a slot of its own.
func (e *Engine) call(ctx, calls context.Context, m *message, recipients []int) result {
	var err error
	if m.attempt < e.opts.MaxAttempts {
		err = lastChance(ctx, calls, e.gate.Slot)
	} else {
		// After the last attempt there is no retry that could take this one's
		// place: it waits for its slot as long as calls may last.
		err = e.gate.Slot(calls)
	}
	if err != nil {
		e.gate.Withdraw(1)
		return result{recipients: recipients, failure: common.Transient(errNotStarted), notStarted: true}
	}
	defer e.gate.Release()
	ctx, cancel := context.WithTimeout(calls, e.opts.CallTimeout)
	defer cancel()
	response, err := e.send(ctx, m, common.Call{Attempt: m.attempt, Recipients: recipients})
	return result{recipients: recipients, response: response, failure: common.Classify(err)}
}

// send turns a panic of adapter or provider into an unknown outcome.
func (e *Engine) send(ctx context.Context, m *message, call common.Call) (resp models.ProviderResponse, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.logPanic(r, "send", m.record)
			resp = models.ProviderResponse{Status: models.StatusUnknown}
			err = common.Unknown(fmt.Errorf("panic in the %s provider", e.opts.Channel))
		}
	}()
	return m.delivery.Send(ctx, call)
}

// lastChance waits with ctx, and when that ends, a grace more.
func lastChance(ctx, calls context.Context, wait func(context.Context) error) error {
	err := wait(ctx)
	if err == nil || calls.Err() != nil {
		return err
	}
	last, cancel := context.WithTimeoutCause(calls, grace, context.Cause(ctx))
	defer cancel()
	return wait(last)
}
