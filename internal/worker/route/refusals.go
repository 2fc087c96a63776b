package route

import (
	"fmt"
	"time"

	"messaging-worker/internal/adapters/common"
)

// Verdict is what becomes of a refusal for good. The zero Verdict has it stand:
// it is the message's.
type Verdict struct {
	Postponed bool // it may be of us: the message is tried again
	Unspent   bool // and its attempt is not spent
	LetIn     int  // where it is postponed: how often the provider had let somebody in
}

// refused learns of a refusal for good that nothing explains, and says whose it
// is.
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
func (b *breaker) refused(c Call, o Outcome) Verdict {
	f := o.Failure
	current := b.current(c)
	if current {
		b.failures = 0
	}
	if b.opts.Refusals == 0 {
		if current {
			b.grow()
		}
		return Verdict{}
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
	spends := o.LetIn != b.letIn
	if many {
		spends = spends && o.LetIn != 0 && b.refusals == b.opts.Refusals
	}
	switch {
	case !many && !b.forRefusals, spends && o.Last:
		return Verdict{}
	default:
		return Verdict{Postponed: true, Unspent: !spends, LetIn: b.letIn}
	}
}

// refusedUs learns of an answer that is known to be about us, and says what
// becomes of its message.
//
// Probes may be well all the time, as where a quota is spent: then each time
// that the breaker looks a message is refused. So while it is not closed such
// an answer spends no attempt, whenever its call began, but one each time that
// the provider has let somebody in since: it may be the message after all, and
// such a one is to come to its end. The answer to a last attempt opens the
// breaker at once, for it would be the message's end.
func (b *breaker) refusedUs(c Call, o Outcome) Verdict {
	if b.current(c) {
		b.failed(o.Failure, o.Critical || o.Last)
	}
	spends := o.LetIn != 0 && o.LetIn != b.letIn
	if b.opts.Failures == 0 || b.state == Closed || spends && o.Last {
		return Verdict{}
	}
	return Verdict{Postponed: true, Unspent: !spends, LetIn: b.letIn}
}

func (b *breaker) openForRefusals(f *common.Failure, wait time.Duration) {
	b.open(fmt.Errorf("%d in a row refused for what neither recipient nor message explains, the last: %s", b.refusals, f.Unexplained), wait)
	b.forRefusals = true
}
