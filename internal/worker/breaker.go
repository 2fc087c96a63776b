package worker

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"messaging-worker/internal/adapters/common"
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

// BreakerOptions of a Breaker. Gate is required.
type BreakerOptions struct {
	Gate        *Gate
	Failures    int           // in a row, after which it opens; zero: they never open it
	Refusals    int           // the same, of refusals for good that nothing explains
	OpenFor     time.Duration // between the starts of probes
	CallTimeout time.Duration // hard limit of a probe

	// Probe asks whether the provider is there and lets us in, and spends no
	// message. Its error's text is for the log. It returns soon after ctx
	// ends. Nil turns the breaker off.
	Probe func(ctx context.Context) error

	// Logins says when credentials that were refused may be tried again. Nil
	// means ones of its own, whose secret never changes.
	Logins *Logins

	// OnChange, where it is not nil, is told of each change of state and of
	// what keeps it from being Closed. It must not call the breaker.
	OnChange func(s BreakerState, reason string)

	Log zerolog.Logger
}

// Breaker pauses the calls to a provider that fails on its own side, so that
// an outage costs time and not the attempts of messages. It is safe for
// concurrent use.
type Breaker struct {
	opts BreakerOptions

	mu      sync.Mutex
	state   BreakerState
	turn    int // raised with each change to or from Open: calls that began before say nothing
	row     int // failures in a row
	allowed int // calls at once while half open
	since   time.Time
	reason  string
	next    time.Time // when refused credentials are tried again; zero: with the next probe

	refusals    int  // that nothing explains, since the provider last let somebody in
	forRefusals bool // it opened for them, and has not closed since
	letIn       int  // how often the provider has let somebody in, from 1
	holding     bool // calls are held because credentials were refused

	opened chan struct{} // holds a token from opening until Run sees it
	first  time.Duration // how long Run waits before its first probe

	probes sync.WaitGroup // that are under way or give way
}

// leastOpen keeps probes from being a flood of their own.
const leastOpen = 50 * time.Millisecond

// NewBreaker makes a breaker. It does nothing without Run.
func NewBreaker(o BreakerOptions) *Breaker {
	o.OpenFor = max(o.OpenFor, leastOpen)
	if o.Logins == nil {
		o.Logins = NewLogins(o.OpenFor, nil)
	}
	return &Breaker{opts: o, letIn: 1, opened: make(chan struct{}, 1)}
}

// State returns the state, since when it holds, and the failure that opened
// the breaker or that the last probe met, "" while it is closed. Where
// credentials were refused, the reason tells when they are tried again.
func (b *Breaker) State() (s BreakerState, since time.Time, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.since, b.told()
}

// begin is asked when a call starts; end wants the answer back.
func (b *Breaker) begin() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.turn
}

// end is told how a call ended, and says what becomes of a refusal for good.
func (b *Breaker) end(turn int, c callEnd) verdict {
	if b.opts.Probe == nil {
		return verdict{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f := c.failure; {
	case f != nil && f.Unexplained != "":
		return b.refused(turn, c)
	case f != nil && f.AboutUs && !f.Ambiguous:
		return b.refusedUs(turn, c)
	case turn != b.turn: // it began before an outage, or in one
	case f != nil && f.Unreachable:
		b.failed(f, c.critical)
	default:
		b.row = 0
		if c.letIn {
			b.refusals = 0
			b.letIn++
			b.opts.Logins.Accepted()
		}
		b.grow()
	}
	return verdict{}
}

// failed is told of a failure on the provider's side. It is called with b.mu
// held.
func (b *Breaker) failed(f *common.Failure, critical bool) {
	if b.opts.Failures == 0 {
		if f.Credentials {
			b.loginRefused()
		}
		return
	}
	b.row++
	switch {
	case b.state == HalfOpen:
		b.noteLogin(f)
		b.open(f.Err, b.opts.OpenFor)
	case b.state == Closed && (b.row >= b.opts.Failures || critical):
		b.open(f.Err, 0)
	}
}

// open is called with b.mu held.
func (b *Breaker) open(err error, wait time.Duration) {
	b.reason, b.first = err.Error(), wait
	b.change(Open)
	b.turn++
	b.opts.Gate.Limit(0)
	b.opened <- struct{}{} // Run has taken the last one: it is what left Open
	b.opts.Log.Warn().Str("error", b.told()).Int("failures", b.row).Int("refusals", b.refusals).
		Msg("the provider fails: no call starts until a probe succeeds")
}

// grow lets more calls in after a success. It is called with b.mu held.
func (b *Breaker) grow() {
	if b.state != HalfOpen {
		return
	}
	b.allowed *= 2
	b.opts.Gate.Limit(b.allowed)
	if b.allowed < b.opts.Gate.Concurrency() {
		return
	}
	// Not only as many as the provider takes now: it may take more later.
	b.opts.Gate.Limit(math.MaxInt)
	b.reason, b.forRefusals = "", false
	b.change(Closed)
	b.opts.Logins.Accepted()
	b.opts.Log.Info().Msg("the provider is back: calls start as usual")
}

// change is called with b.mu held.
func (b *Breaker) change(s BreakerState) {
	b.state, b.since = s, time.Now()
	if b.opts.OnChange != nil {
		b.opts.OnChange(s, b.told())
	}
}

// Run probes the provider while the breaker is not closed, until ctx ends. No
// probe is under way when it returns.
func (b *Breaker) Run(ctx context.Context) {
	// Here and not at the end of an outage: a probe that is slow to give way
	// would keep the channel paused though the provider is back.
	defer b.probes.Wait()
	for {
		select {
		case <-b.opened:
		case <-ctx.Done():
			return
		}
		for again := true; again; again = b.watch(ctx) {
			b.mu.Lock()
			first := b.first
			b.mu.Unlock()
			if !b.probe(ctx, first) {
				return
			}
			b.halfOpen()
		}
	}
}

func (b *Breaker) halfOpen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	paused := time.Since(b.since)
	b.change(HalfOpen)
	b.turn++
	b.row, b.allowed, b.next = 0, 1, time.Time{}
	b.opts.Gate.Limit(1)
	b.opts.Log.Info().Dur("paused", paused).Msg("the provider answers: calls start again, one at a time")
}

// watch waits until the breaker leaves HalfOpen, and returns true when it has
// opened again. While nobody calls, a good probe counts as a success, or the
// breaker of a channel without traffic would never close.
func (b *Breaker) watch(ctx context.Context) (opened bool) {
	tick := time.NewTicker(b.opts.OpenFor)
	defer tick.Stop()
	for {
		select {
		case <-b.opened:
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		b.mu.Lock()
		s, turn := b.state, b.turn
		b.mu.Unlock()
		if s == Closed {
			return false
		}
		if s == HalfOpen && b.opts.Gate.InFlight() == 0 {
			b.ask(ctx, turn)
		}
	}
}

// ask makes one probe that counts as a call of that turn.
func (b *Breaker) ask(ctx context.Context, turn int) {
	limited, cancel := context.WithTimeout(ctx, b.opts.CallTimeout)
	defer cancel()
	err := b.opts.Probe(limited)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case turn != b.turn || b.state != HalfOpen || ctx.Err() != nil:
	case err == nil:
		b.grow()
	default:
		b.noteLogin(common.Classify(err))
		b.open(err, b.opts.OpenFor)
	}
}

// probeOnce makes one probe, which may have to give way.
func (b *Breaker) probeOnce(ctx context.Context) error {
	err := b.opts.Probe(ctx)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return errGaveWay
	}
	return err
}

// maxProbes bounds the probes that are under way at once: where a provider
// hangs, each waits for its time limit.
const maxProbes = 4

// errGaveWay is the answer of a probe that gave way to a later one.
var errGaveWay = errors.New("gave way to a later probe")

// probe returns true when the provider has answered well, and false when ctx
// ends. A probe that hangs keeps no later one from being made, so that the
// provider's return is noticed as soon as if it had refused: where there are
// maxProbes, the newest gives way. The others are given the time of a call, for
// a provider that is slow.
func (b *Breaker) probe(ctx context.Context, first time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan error)
	under, giveWay := 0, func() {}
	due := time.NewTimer(first)
	defer due.Stop()
	for {
		select {
		case <-due.C:
			due.Reset(b.opts.OpenFor)
			if !b.opts.Logins.Due() {
				continue // it would be refused again
			}
			if under == maxProbes {
				giveWay()
			}
			under++
			limited, cancel := context.WithTimeout(ctx, b.opts.CallTimeout)
			giveWay = cancel
			b.probes.Go(func() {
				defer cancel()
				select {
				case answers <- b.probeOnce(limited):
				case <-ctx.Done():
				}
			})
		case err := <-answers:
			under--
			if err == nil {
				return true
			}
			if !errors.Is(err, errGaveWay) {
				b.stillFails(err)
			}
		case <-ctx.Done():
			return false
		}
	}
}
