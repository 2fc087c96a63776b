package route

import (
	"sync"
	"time"

	"messaging-worker/internal/adapters/common"
)

// maxCredentialWait bounds how long credentials that were refused are left
// alone while nobody changes them.
const maxCredentialWait = 5 * time.Minute

// CredentialBackoff keeps attempts to log in with refused credentials apart: a
// provider locks an account that is tried again and again. Each refusal doubles
// the wait, up to five minutes, until the secret changes. It is safe for
// concurrent use.
type CredentialBackoff struct {
	every  time.Duration // the first wait
	secret func() string

	mu      sync.Mutex
	refused int       // in a row
	known   string    // the version of the secret that was tried last
	at      time.Time // when the last login began; zero once it was refused
	next    time.Time // when the same secret may be tried again; zero while it was not refused
}

// NewCredentialBackoff waits that long after a first refusal. Secret returns a
// text that changes whenever the secret does, and not the secret; nil means
// that it never changes.
func NewCredentialBackoff(every time.Duration, secret func() string) *CredentialBackoff {
	if secret == nil {
		secret = func() string { return "" }
	}
	return &CredentialBackoff{every: max(every, leastOpen), secret: secret}
}

// Due reports whether a login has a chance, or is worth another try, and notes
// that it begins.
func (b *CredentialBackoff) Due() bool {
	version := b.secret()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if version == b.known && b.waits(now) {
		return false
	}
	b.begin(version, now)
	return true
}

// waits reports whether the known secret may not be tried yet. Whoever asks in
// steps of the first wait may be a moment early.
func (b *CredentialBackoff) waits(now time.Time) bool { return now.Before(b.next.Add(-b.every / 10)) }

// begin notes that a login with that secret begins.
func (b *CredentialBackoff) begin(version string, now time.Time) {
	if version != b.known {
		b.refused, b.next = 0, time.Time{}
	}
	b.known, b.at = version, now
}

// Refused notes that the credentials were refused, and returns when they may
// be tried again. The answer to a login that began before a wait does not
// lengthen it.
func (b *CredentialBackoff) Refused() time.Time {
	version := b.secret()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.at) >= b.every { // nobody has asked: it was a call's
		b.begin(version, now)
	}
	if b.waits(now) {
		return b.next
	}
	b.refused++
	wait := b.every
	for n := 1; n < b.refused && wait < maxCredentialWait; n++ {
		wait *= 2
	}
	b.next = b.at.Add(min(wait, max(b.every, maxCredentialWait)))
	b.at = time.Time{}
	return b.next
}

// Accepted notes that the provider lets us in.
func (b *CredentialBackoff) Accepted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused, b.next, b.at = 0, time.Time{}, time.Time{}
}

// NextTry is what a reason says of refused credentials besides.
func NextTry(at time.Time) string {
	return "; the same credentials are tried again at " + at.UTC().Format(time.RFC3339)
}

// noteCredentials notes when refused credentials are tried again. It and the two
// below are called with the route's mu held.
func (b *breaker) noteCredentials(f *common.Failure) {
	b.nextTry = time.Time{}
	if f.Credentials {
		b.nextTry = b.opts.Credentials.Refused()
	}
}

// credentialsRefused keeps calls from logging in again and again where no
// breaker pauses them: they wait as a probe would.
func (b *breaker) credentialsRefused() {
	b.opts.Credentials.Refused()
	if !b.waiting {
		b.waiting = true
		b.awaitCredentials()
	}
}

// awaitCredentials pauses the route in steps, so that a secret that has changed
// ends the wait.
func (b *breaker) awaitCredentials() {
	if b.opts.Credentials.Due() {
		b.waiting = false // the pause of the last step ends by itself
		return
	}
	now := time.Now()
	b.route.pause(now, now.Add(b.opts.OpenFor))
	time.AfterFunc(b.opts.OpenFor*3/4, func() {
		b.route.mu.Lock()
		defer b.route.mu.Unlock()
		b.awaitCredentials()
	})
}
