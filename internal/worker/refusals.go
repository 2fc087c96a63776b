package worker

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// verdict is what the breaker makes of a refusal for good. The zero verdict
// has it stand: it is the message's.
type verdict struct {
	postponed bool // it may be of us: the message is tried again
	unspent   bool // and its attempt is not spent
	letIn     int  // where it is postponed: how often the provider had let somebody in
}

// callEnd is how a provider call ended, as far as the breaker asks.
type callEnd struct {
	failure *common.Failure // nil: everybody was accepted

	// letIn says that the provider has dealt with the message: it accepted
	// somebody, or found fault with a recipient or the content.
	letIn bool

	critical bool // the failure leaves its message one attempt
	last     bool // the call belongs to its message's last attempt
	known    int  // letIn of the last verdict that postponed its message; 0 for none
}

// endOf reads how a call of m ended for the breaker.
func endOf(m *job, r *result, maxAttempts int) callEnd {
	f := r.failure
	if f == nil {
		return callEnd{letIn: true}
	}
	split := f.Refused != nil || f.Open != nil
	someAccepted := split && len(f.Refused)+len(f.Open) < len(r.recipients)
	refused := f.Class == models.FailurePermanent || len(f.Refused) > 0
	return callEnd{
		failure: f, letIn: someAccepted || refused && f.Unexplained == "",
		critical: m.attempt == maxAttempts-1 && r.again(), last: m.attempt >= maxAttempts, known: m.letIn,
	}
}

// apply turns a refusal that is not the message's into a failure for now.
func (r *result) apply(v verdict) {
	if !v.postponed {
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
	r.failure, r.unspent, r.letIn = &f, v.unspent, v.letIn
	r.response.Status = models.StatusUnavailable
}

// refused is told of a refusal for good that nothing explains, and says whose
// it is. It is called with b.mu held.
//
// Once so many came in a row, it may be us who is refused, until the provider
// has let somebody in. Till then no message is given up for such a refusal and
// none has spent an attempt by it, whenever its call began: calls that were
// under way when the breaker opened end like the one that opened it. So fewer
// than Refusals messages end before it opens, and none afterwards.
//
// When it has let somebody in and refuses again before the breaker is closed,
// the account is in doubt and the message too: each time that somebody was let
// in, a message may spend one attempt so. Thus one that is always refused comes
// to its end, and at most Refusals do between two times that somebody is let
// in. The row's last refusal itself counts where its message was refused
// before: else with Refusals at 1 no message would ever end.
func (b *Breaker) refused(turn int, c callEnd) verdict {
	f := c.failure
	current := turn == b.turn
	if current {
		b.row = 0
	}
	if b.opts.Refusals == 0 {
		if current {
			b.grow()
		}
		return verdict{}
	}
	b.refusals++
	many := b.refusals >= b.opts.Refusals
	switch {
	case b.state == Closed && many:
		b.openForRefusals(f, 0)
	case b.state == HalfOpen && current && (many || b.forRefusals):
		b.openForRefusals(f, b.opts.OpenFor)
	case current:
		b.grow()
	}
	spends := c.known != b.letIn
	if many {
		spends = spends && c.known != 0 && b.refusals == b.opts.Refusals
	}
	switch {
	case !many && !b.forRefusals, spends && c.last:
		return verdict{}
	default:
		return verdict{postponed: true, unspent: !spends, letIn: b.letIn}
	}
}

// refusedUs is told of an answer that is known to be about us, and says what
// becomes of its message. It is called with b.mu held.
//
// Probes may be well all the time, as where a quota is spent: then each time
// that the breaker looks a message is refused. So while it is not closed such
// an answer spends no attempt, whenever its call began, but one each time that
// the provider has let somebody in since: it may be the message after all, and
// such a one is to come to its end. The answer to a last attempt opens the
// breaker at once, for it would be the message's end.
func (b *Breaker) refusedUs(turn int, c callEnd) verdict {
	if turn == b.turn {
		b.failed(c.failure, c.critical || c.last)
	}
	spends := c.known != 0 && c.known != b.letIn
	if b.opts.Failures == 0 || b.state == Closed || spends && c.last {
		return verdict{}
	}
	return verdict{postponed: true, unspent: !spends, letIn: b.letIn}
}

// openForRefusals is called with b.mu held.
func (b *Breaker) openForRefusals(f *common.Failure, wait time.Duration) {
	b.open(fmt.Errorf("%d in a row refused for what neither recipient nor message explains, the last: %s", b.refusals, f.Unexplained), wait)
	b.forRefusals = true
}
