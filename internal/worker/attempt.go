package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/lifetime"
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
	assumed    bool            // who was not told anything is taken for accepted
	notStarted bool
	unspent    bool // the call was made and says nothing of the message
	letIn      int  // of the verdict that postponed its message; 0 for none
}

// attempt makes the next round of provider calls, one for each unit that is
// still open, and folds their results into m. An error means that the worker
// is stopping; then no call is under way any more.
func (e *Engine) attempt(life *lifetime.Lifetime, m *job) error {
	units := m.openUnits()
	places := len(units)
	if e.opts.Pace.PerSender() {
		places = 1 // the others come as their sender's rate lets them
	}
	if err := e.enter(life, m, places, joined(units)); err != nil {
		return errors.Join(err, m.lastWords(life.Calls()))
	}
	if err := e.announce(life, m); err != nil {
		e.gate.Withdraw(places)
		return err
	}
	m.say(calling, time.Time{})
	results := e.run(life, m, units)
	for _, r := range results {
		if r.failure != nil && life.Calls().Err() != nil {
			return context.Cause(life.Calls()) // the call was cut: nobody knows its outcome
		}
	}
	m.absorb(results)
	return nil
}

// admit waits until an attempt with that many calls to those recipients may be
// published: the record is ours for certain, the sender and the provider may be
// called, none of the recipients is held, and so many calls may be ahead. Its
// error is the cause of ctx's end, or errExpired.
func (e *Engine) admit(ctx context.Context, m *job, calls int, recipients []int) error {
	ctx, cancel := e.untilExpiry(ctx, m)
	defer cancel()
	m.say(waiting, time.Time{})
	for {
		err := e.place(ctx, m, calls)
		held := err == nil && e.held(m, recipients)
		if held {
			e.gate.Withdraw(calls)
		} else if !errors.Is(err, errShut) {
			return err
		}
		err = m.lease.Yield(func() error {
			if held {
				return e.holds.wait(ctx, m, recipients)
			}
			return e.opened(ctx, m)
		})
		if err != nil {
			return err //nolint:wrapcheck // the cause of ctx's end
		}
	}
}

// othersFirst is how long a message that was refused and kept lets others go
// first when the gate opens.
const othersFirst = 100 * time.Millisecond

// opened waits until attempts may be published. All who wait are woken at once,
// and whoever began to wait last may well run first: that is the message whose
// refusal has shut the gate. Were it called first each time, nobody else would
// ever be.
func (e *Engine) opened(ctx context.Context, m *job) error {
	if err := e.gate.Opened(ctx); err != nil || !m.unspent {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	return sleep(ctx, othersFirst)
}

// place waits for the sender's turn, for certainty that the record is ours, and
// for so many places ahead. The turn is given back with what the wait came to.
func (e *Engine) place(ctx context.Context, m *job, calls int) error {
	if !e.opts.Pace.PerSender() {
		return e.sure(ctx, m, calls)
	}
	var done func(bool)
	err := m.lease.Yield(func() (err error) {
		done, err = e.opts.Pace.Sender(ctx, m.delivery.Sender())
		return err
	})
	if err != nil {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	err = e.sure(ctx, m, calls)
	done(err == nil)
	return err
}

// sure waits for certainty that the record is ours, and for the places.
func (e *Engine) sure(ctx context.Context, m *job, calls int) error {
	if err := m.lease.Await(ctx); err != nil {
		return err //nolint:wrapcheck // the cause of ctx's end
	}
	return e.gate.Ahead(ctx, calls)
}

// held reports whether the provider finds us too fast for m's sender or for one
// of the recipients.
func (e *Engine) held(m *job, recipients []int) bool {
	return time.Now().Before(e.holds.until(m, recipients))
}

// announce publishes the attempt and waits for its acknowledgement: no call
// is made that the status topic does not know of.
func (e *Engine) announce(life *lifetime.Lifetime, m *job) error {
	if m.lease.AtMostOnce() && !m.begun {
		if err := m.lease.CommitBeforeCall(life.Waiting()); err != nil {
			return fmt.Errorf("commit before the first call: %w", err)
		}
		m.begun = true
	}
	m.attempt++
	m.run, m.unmade = m.unmade+1, 0
	m.publish(life.Calls(), models.EventAttempt, nil, "")
	if err := lastChance(life.Waiting(), life.Calls(), m.flush); err != nil {
		return err
	}
	m.unkeep()
	return nil
}

// run makes the calls of a round and settles their recipients. Until the
// round's last call has ended no event tells of the others: the lease does.
func (e *Engine) run(life *lifetime.Lifetime, m *job, units [][]int) []result {
	results := make([]result, len(units))
	if len(units) == 1 {
		results[0] = e.call(life, m, units[0], false)
		m.settleBy(&results[0])
		return results
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		left = len(units)
	)
	for i, unit := range units {
		wg.Go(func() {
			r := e.call(life, m, unit, i > 0 && e.opts.Pace.PerSender())
			mu.Lock()
			defer mu.Unlock()
			results[i] = r
			m.settleBy(&r)
			if left--; left > 0 {
				m.keep()
			}
		})
	}
	wg.Wait()
	return results
}

// call makes one provider call in a slot of its own. Later says that its place
// ahead is still to be had.
func (e *Engine) call(life *lifetime.Lifetime, m *job, recipients []int, later bool) result {
	for {
		ticket, err := e.start(life, m, recipients, later)
		if err != nil {
			return notStarted(recipients)
		}
		r := e.callNow(life.Calls(), m, recipients, ticket)
		if r.failure == nil || !r.failure.NotCalled || life.Calls().Err() != nil {
			e.gate.Release(ticket)
			return r
		}
		e.gate.Return(ticket)
		if life.Waiting().Err() != nil { // it had its last chance
			e.gate.Withdraw(1)
			return notStarted(recipients)
		}
		later = false
	}
}

// notStarted is the result of a call that was not made.
func notStarted(recipients []int) result {
	return result{recipients: recipients, failure: common.Transient(errNotStarted), notStarted: true}
}

// callNow makes a call that has its slot, and has breaker and limits know how
// it ended. Its failure may be that the provider could not take it.
func (e *Engine) callNow(calls context.Context, m *job, recipients []int, ticket Ticket) result {
	turn := e.opts.Breaker.begin()
	ctx, cancel := context.WithTimeout(calls, e.opts.CallTimeout)
	defer cancel()
	response, err := e.send(ctx, m, common.Call{Attempt: m.attempt, Recipients: recipients})
	r := result{recipients: recipients, response: response, failure: common.Classify(err)}
	if calls.Err() != nil || r.failure != nil && r.failure.NotCalled {
		return r // we have cut it, or it was not made
	}
	e.heed(m, recipients, ticket, r.failure)
	if f := r.failure; f != nil && f.Ambiguous && e.opts.AmbiguousToDLQ {
		unknown := *f
		unknown.Class = models.FailureUnknown
		r.failure, r.assumed = &unknown, true
	}
	r.apply(e.opts.Breaker.end(turn, endOf(m, &r, e.opts.MaxAttempts)))
	return r
}

// heed has all calls wait where the provider finds us too fast, or those of the
// sender or the pair that it means: they would be answered like this one.
func (e *Engine) heed(m *job, recipients []int, ticket Ticket, f *common.Failure) {
	if f == nil || !f.Throttle {
		e.gate.Ease(ticket)
	}
	if f == nil {
		e.throttle.accepted()
		e.holds.accepted(m, recipients)
		return
	}
	after := min(f.RetryAfter, e.opts.RetryAfterMax)
	switch {
	case f.Throttle:
		e.gate.Hold(e.throttle.answered(after))
	case f.ThrottleScope != common.ScopeNone:
		e.holds.answered(m, recipients, f.ThrottleScope, after)
	}
}

// start takes a slot while the record is ours for certain, the provider may be
// called, and the rates allow one more.
func (e *Engine) start(life *lifetime.Lifetime, m *job, recipients []int, later bool) (ticket Ticket, err error) {
	ctx, cancel := e.untilExpiry(life.Waiting(), m)
	defer cancel()
	calls, cancelCalls := e.untilExpiry(life.Calls(), m)
	defer cancelCalls()
	if later {
		if err := lastChance(ctx, calls, func(ctx context.Context) error { return e.admit(ctx, m, 1, recipients) }); err != nil {
			return ticket, err
		}
	}
	err = lastChance(ctx, calls, func(ctx context.Context) (err error) {
		ticket, err = e.slot(ctx, m)
		return err
	})
	if err != nil {
		e.gate.Withdraw(1)
	}
	return ticket, err
}

// slot waits for all that a call needs at the moment that it starts. What it
// was given before it had to wait for the rest may be gone by then.
func (e *Engine) slot(ctx context.Context, m *job) (Ticket, error) {
	for {
		ticket, err := e.gate.Slot(ctx)
		if err != nil {
			return ticket, err
		}
		err = e.opts.Pace.Call(ctx)
		// A token is of its moment: those who waited for certainty with one in
		// hand would all start together. They give it back with the slot.
		doubt := e.opts.Pace.Limits() && !m.certain(ctx)
		if err == nil && !doubt {
			err = m.lease.Await(ctx)
		}
		if err == nil && !doubt && !e.gate.Shut() {
			return ticket, nil
		}
		e.gate.Return(ticket)
		if err == nil {
			err = m.lease.Await(ctx)
		}
		if err != nil {
			return ticket, err
		}
	}
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
