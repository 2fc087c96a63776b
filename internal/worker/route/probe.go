package route

import (
	"context"
	"errors"
	"time"

	"messaging-worker/internal/adapters/common"
)

// Run probes the provider while the breaker is not closed, until ctx ends. No
// probe is under way when it returns.
func (r *Route) Run(ctx context.Context) {
	b := &r.breaker
	// Here and not at the end of an outage: a probe that is slow to give way
	// would keep the channel paused though the provider is back.
	defer b.probes.Wait()
	tick := time.NewTicker(b.opts.OpenFor)
	defer tick.Stop()
	for {
		select {
		case delay := <-b.opened:
			if !b.probe(ctx, delay) {
				return
			}
			b.halfOpen()
			tick.Reset(b.opts.OpenFor)
		case <-tick.C:
			if !b.probeAsCall(ctx) {
				tick.Stop()
			}
		case <-ctx.Done():
			return
		}
	}
}

// probeAsCall makes a probe that counts as a call, where nobody calls: the
// breaker of a channel without traffic would never close. It reports false where
// the breaker is not half open.
func (b *breaker) probeAsCall(ctx context.Context) bool {
	b.route.mu.Lock()
	s, generation, idle := b.state, b.first, b.route.calls == 0
	b.route.mu.Unlock()
	if s != HalfOpen || !idle {
		return s == HalfOpen
	}
	limited, cancel := context.WithTimeout(ctx, b.opts.CallTimeout)
	defer cancel()
	err := b.opts.Probe(limited)
	b.route.mu.Lock()
	defer b.route.mu.Unlock()
	switch {
	case generation != b.first || b.state != HalfOpen || ctx.Err() != nil:
	case err == nil:
		b.grow()
	default:
		b.noteCredentials(common.Classify(err))
		b.open(err, b.opts.OpenFor)
	}
	return true
}

// probeOnce makes one probe, which may have to give way.
func (b *breaker) probeOnce(ctx context.Context) error {
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
func (b *breaker) probe(ctx context.Context, first time.Duration) bool {
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
			if !b.opts.Credentials.Due() {
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

// stillFails notes what a probe has met.
func (b *breaker) stillFails(err error) {
	b.route.mu.Lock()
	defer b.route.mu.Unlock()
	before := b.fullReason()
	b.reason = err.Error()
	b.noteCredentials(common.Classify(err))
	if b.nextTry.IsZero() {
		b.log.Debug().Str("error", b.reason).Msg("the provider still fails")
	} else {
		b.log.Warn().Str("error", b.reason).Time("next_probe", b.nextTry).Msg("the provider still refuses our credentials")
	}
	if now := b.fullReason(); now != before && b.opts.OnChange != nil {
		b.opts.OnChange(b.state, now)
	}
}
