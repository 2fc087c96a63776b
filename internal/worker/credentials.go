package worker

import (
	"time"

	"messaging-worker/internal/adapters/common"
)

// told is the reason with what is to come. It is called with b.mu held.
func (b *Breaker) told() string {
	if b.state != Open || b.next.IsZero() {
		return b.reason
	}
	return b.reason + NextLogin(b.next)
}

// NextLogin is what a reason says of refused credentials besides.
func NextLogin(at time.Time) string {
	return "; the same credentials are tried again at " + at.UTC().Format(time.RFC3339)
}

// noteLogin notes when refused credentials are tried again. It is called with
// b.mu held.
func (b *Breaker) noteLogin(f *common.Failure) {
	b.next = time.Time{}
	if f.Credentials {
		b.next = b.opts.Logins.Refused()
	}
}

// stillFails notes what a probe has met.
func (b *Breaker) stillFails(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.told()
	b.reason = err.Error()
	b.noteLogin(common.Classify(err))
	if b.next.IsZero() {
		b.opts.Log.Debug().Str("error", b.reason).Msg("the provider still fails")
	} else {
		b.opts.Log.Warn().Str("error", b.reason).Time("next_probe", b.next).Msg("the provider still refuses our credentials")
	}
	if now := b.told(); now != before && b.opts.OnChange != nil {
		b.opts.OnChange(b.state, now)
	}
}

// loginRefused keeps calls from logging in again and again where no breaker
// pauses them: they wait as a probe would. It is called with b.mu held.
func (b *Breaker) loginRefused() {
	b.opts.Logins.Refused()
	if !b.holding {
		b.holding = true
		b.holdLogins()
	}
}

// holdLogins holds all calls in steps, so that a secret that has changed ends
// the wait. It is called with b.mu held.
func (b *Breaker) holdLogins() {
	if b.opts.Logins.Due() {
		b.holding = false // the hold of the last step ends by itself
		return
	}
	b.opts.Gate.Hold(time.Now().Add(b.opts.OpenFor))
	time.AfterFunc(b.opts.OpenFor*3/4, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.holdLogins()
	})
}
