package route

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/models"
)

// BreakerState is whether provider calls may start. The numbers are those of
// the metric.
type BreakerState int

// The states.
const (
	Closed   BreakerState = 0 // calls start as usual
	HalfOpen BreakerState = 1 // the provider answers again: few calls at once, more with each success
	Open     BreakerState = 2 // no call starts; the provider is probed
)

// String returns the state's name.
func (s BreakerState) String() string {
	return [...]string{"closed", "half open", "open"}[s]
}

// Breaker is what a route's breaker goes by. The zero Breaker is off.
type Breaker struct {
	Failures    int           // in a row, after which it opens; zero: they never open it
	Refusals    int           // the same, of refusals for good that nothing explains
	OpenFor     time.Duration // between the starts of probes
	CallTimeout time.Duration // hard limit of a probe

	// Probe asks whether the provider is there and lets us in, and spends no
	// message. Its error's text is for the log. It returns soon after ctx
	// ends. Nil turns the breaker off.
	Probe func(ctx context.Context) error

	// Credentials says when credentials that were refused may be tried again.
	// Nil means a backoff of its own, whose secret never changes.
	Credentials *CredentialBackoff

	// OnChange, where it is not nil, is called at each change of state and of
	// what keeps it from being Closed. It must not call the route.
	OnChange func(s BreakerState, reason string)
}

// breaker pauses the calls to a provider that fails on its own side, so that
// an outage costs time and not the attempts of messages. The route's mu guards
// it.
type breaker struct {
	opts  Breaker
	log   zerolog.Logger
	route *Route

	state    BreakerState
	since    time.Time
	reason   string
	first    int       // generation whose calls say something of the present state
	failures int       // in a row
	allowed  int       // calls at once while half open
	nextTry  time.Time // of refused credentials; zero: with the next probe

	refusals    int  // that nothing explains, since the provider last let somebody in
	forRefusals bool // it opened for them, and has not closed since
	letIn       int  // how often the provider has let somebody in, from 1
	waiting     bool // the route is paused because credentials were refused

	opened chan time.Duration // holds the first probe's delay from opening until Run sees it

	probes sync.WaitGroup // that are under way or give way
}

// leastOpen keeps probes from being a flood of their own.
const leastOpen = 50 * time.Millisecond

func newBreaker(r *Route, o Breaker, log zerolog.Logger) breaker {
	o.OpenFor = max(o.OpenFor, leastOpen)
	if o.Credentials == nil {
		o.Credentials = NewCredentialBackoff(o.OpenFor, nil)
	}
	return breaker{opts: o, log: log, route: r, letIn: 1, opened: make(chan time.Duration, 1)}
}

// Breaker returns the breaker's state, since when it holds, and the failure
// that opened it or that the last probe met, "" while it is closed. Where
// credentials were refused, the reason tells when they are tried again.
func (r *Route) Breaker() (s BreakerState, since time.Time, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.breaker
	return b.state, b.since, b.fullReason()
}

// fullReason is the reason with what is to come.
func (b *breaker) fullReason() string {
	if b.state != Open || b.nextTry.IsZero() {
		return b.reason
	}
	return b.reason + NextTry(b.nextTry)
}

// end learns from a call, and says what becomes of a refusal for good.
func (b *breaker) end(c Call, o Outcome) Verdict {
	if b.opts.Probe == nil {
		return Verdict{}
	}
	switch f := o.Failure; {
	case f != nil && f.Unexplained != "":
		return b.refused(c, o)
	case f != nil && f.AboutUs && !f.Ambiguous:
		return b.refusedUs(c, o)
	case !b.current(c): // it began before an outage, or in one
	case f != nil && f.Unreachable:
		b.failed(f, o.Critical)
	default:
		b.failures = 0
		if letIn(c, f) {
			b.refusals = 0
			b.letIn++
			b.opts.Credentials.Accepted()
		}
		b.grow()
	}
	return Verdict{}
}

// current reports whether a call says something of the present state.
func (b *breaker) current(c Call) bool { return c.generation >= b.first }

// letIn reports whether the provider has dealt with a call's message: it
// accepted somebody, or found fault with a recipient or the content.
func letIn(c Call, f *common.Failure) bool {
	if f == nil {
		return true
	}
	split := f.Refused != nil || f.Open != nil
	someAccepted := split && len(f.Refused)+len(f.Open) < len(c.recipients)
	return someAccepted || f.Class == models.FailurePermanent || len(f.Refused) > 0
}

// failed learns of a failure on the provider's side.
func (b *breaker) failed(f *common.Failure, critical bool) {
	if b.opts.Failures == 0 {
		if f.Credentials {
			b.credentialsRefused()
		}
		return
	}
	b.failures++
	switch {
	case b.state == HalfOpen:
		b.noteCredentials(f)
		b.open(f.Err, b.opts.OpenFor)
	case b.state == Closed && (b.failures >= b.opts.Failures || critical):
		b.open(f.Err, 0)
	}
}

// open pauses the route until a probe, the first after that delay, succeeds.
func (b *breaker) open(err error, delay time.Duration) {
	b.reason = err.Error()
	b.change(Open)
	b.route.limit(0)
	b.opened <- delay // Run has taken the last one: it is what left Open
	b.log.Warn().Str("error", b.fullReason()).Int("failures", b.failures).Int("refusals", b.refusals).
		Msg("the provider fails: no call starts until a probe succeeds")
}

// halfOpen lets calls in again, one at a time.
func (b *breaker) halfOpen() {
	b.route.mu.Lock()
	defer b.route.mu.Unlock()
	paused := time.Since(b.since)
	b.change(HalfOpen)
	b.failures, b.allowed, b.nextTry = 0, 1, time.Time{}
	b.route.limit(b.allowed)
	b.log.Info().Dur("paused", paused).Msg("the provider answers: calls start again, one at a time")
}

// grow lets more calls in after a success.
func (b *breaker) grow() {
	if b.state != HalfOpen {
		return
	}
	b.allowed *= 2
	b.route.limit(b.allowed)
	if b.allowed < b.route.bound {
		return
	}
	// Not only as many as the provider takes now: it may take more later.
	b.route.limit(math.MaxInt)
	b.reason, b.forRefusals = "", false
	b.change(Closed)
	b.opts.Credentials.Accepted()
	b.log.Info().Msg("the provider is back: calls start as usual")
}

// change enters a state. Calls that began before it say nothing of Open and
// HalfOpen.
func (b *breaker) change(s BreakerState) {
	b.state, b.since = s, time.Now()
	if s != Closed {
		b.route.nextGeneration()
		b.first = b.route.generation
	}
	if b.opts.OnChange != nil {
		b.opts.OnChange(s, b.fullReason())
	}
}
