package worker

import (
	"sync"
	"time"
)

// maxLoginWait bounds how long credentials that were refused are left alone
// while nobody changes them.
const maxLoginWait = 5 * time.Minute

// Logins keeps attempts to log in with refused credentials apart: a provider
// locks an account that is tried again and again. Each refusal doubles the
// wait, up to five minutes, until the secret changes. It is safe for
// concurrent use.
type Logins struct {
	every  time.Duration // the first wait
	secret func() string

	mu      sync.Mutex
	refused int       // in a row
	known   string    // the version of the secret that was tried last
	at      time.Time // when the last login began; zero once it was refused
	next    time.Time // when the same secret may be tried again; zero while it was not refused
}

// NewLogins waits that long after a first refusal. Secret returns a text that
// changes whenever the secret does, and not the secret; nil means that it never
// changes.
func NewLogins(every time.Duration, secret func() string) *Logins {
	if secret == nil {
		secret = func() string { return "" }
	}
	return &Logins{every: max(every, leastOpen), secret: secret}
}

// Due reports whether a login has a chance, or is worth another try, and notes
// that it begins.
func (l *Logins) Due() bool {
	version := l.secret()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if version == l.known && l.waits(now) {
		return false
	}
	l.begin(version, now)
	return true
}

// waits reports whether the known secret may not be tried yet. Whoever asks in
// steps of the first wait may be a moment early.
func (l *Logins) waits(now time.Time) bool { return now.Before(l.next.Add(-l.every / 10)) }

// begin notes that a login with that secret begins.
func (l *Logins) begin(version string, now time.Time) {
	if version != l.known {
		l.refused, l.next = 0, time.Time{}
	}
	l.known, l.at = version, now
}

// Refused notes that the credentials were refused, and returns when they may
// be tried again. The answer to a login that began before a wait does not
// lengthen it.
func (l *Logins) Refused() time.Time {
	version := l.secret()
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.at) >= l.every { // nobody has asked: it was a call's
		l.begin(version, now)
	}
	if l.waits(now) {
		return l.next
	}
	l.refused++
	wait := l.every
	for n := 1; n < l.refused && wait < maxLoginWait; n++ {
		wait *= 2
	}
	l.next = l.at.Add(min(wait, max(l.every, maxLoginWait)))
	l.at = time.Time{}
	return l.next
}

// Accepted notes that the provider lets us in.
func (l *Logins) Accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused, l.next, l.at = 0, time.Time{}, time.Time{}
}
