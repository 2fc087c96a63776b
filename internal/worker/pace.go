package worker

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// PaceOptions are limits of provider calls started a second; zero means none.
type PaceOptions struct {
	Provider float64 // of the process, one second's worth at once
	Sender   float64 // of each sender, one second's worth at once
	Group    float64 // of all workers of the consumer group together
}

// Pace keeps provider calls below rates. It is safe for concurrent use.
type Pace struct {
	opts     PaceOptions
	provider *turnstile // nil: no limit
	group    *turnstile // nil: no limit

	mu      sync.Mutex
	senders map[string]*turnstile
}

// NewPace makes a pace. The share of the group's rate is zero until Share is
// told.
func NewPace(o PaceOptions) *Pace {
	p := &Pace{opts: o, senders: map[string]*turnstile{}}
	if o.Provider > 0 {
		p.provider = newTurnstile(o.Provider, burst(o.Provider, time.Second))
	}
	if o.Group > 0 {
		p.group = newTurnstile(0, 0)
	}
	return p
}

// groupBurst is how much of its share a worker may start at once. The bursts
// of all workers add up, so it is short.
const groupBurst = 50 * time.Millisecond

// Share sets this worker's part of the group's rate, 0 to 1: the part of the
// request partitions that it owns. Who lowers it before a partition is given
// up, and raises it when one was assigned, keeps the sum below the rate.
func (p *Pace) Share(part float64) {
	if p.group != nil {
		share := p.opts.Group * part
		p.group.set(share, burst(share, groupBurst))
	}
}

// burst is how many calls a rate allows in that time, at least one.
func burst(perSecond float64, d time.Duration) int {
	return int(max(1, min(math.Floor(perSecond*d.Seconds()), math.MaxInt32)))
}

// Call waits until one more provider call may start.
func (p *Pace) Call(ctx context.Context) error {
	if p.group != nil {
		if err := p.group.wait(ctx); err != nil {
			return err
		}
	}
	if p.provider != nil {
		return p.provider.wait(ctx)
	}
	return nil
}

// Limits reports whether Call may wait.
func (p *Pace) Limits() bool { return p.group != nil || p.provider != nil }

// PerSender reports whether Sender may wait.
func (p *Pace) PerSender() bool { return p.opts.Sender > 0 }

// maxSenders bounds how many senders are remembered. An email may name any.
const maxSenders = 10_000

// Sender waits until one more call of the sender may start, and has all others
// of the sender wait behind it until it is told by done whether that call goes
// on its way. A rate that was waited for before the way was free would be none:
// all who had waited would start together then.
func (p *Pace) Sender(ctx context.Context, from string) (done func(goes bool), err error) {
	if p.opts.Sender <= 0 {
		return func(bool) {}, nil
	}
	p.mu.Lock()
	t, known := p.senders[from]
	if !known {
		if len(p.senders) >= maxSenders {
			p.forget()
		}
		t = newTurnstile(p.opts.Sender, burst(p.opts.Sender, time.Second))
		p.senders[from] = t
	}
	p.mu.Unlock()
	if err := t.enter(ctx); err != nil {
		return nil, err
	}
	return t.leave, nil
}

// forget drops the senders that have been quiet long enough to have their
// whole burst again: a new turnstile would say the same of them. It is called
// with p.mu held.
func (p *Pace) forget() {
	for from, t := range p.senders {
		if t.full() {
			delete(p.senders, from)
		}
	}
}

// turnstile lets one after another through at a rate. Only the first in line
// has a reservation with the limiter, so that a rate that is lowered holds for
// all who wait.
type turnstile struct {
	limiter *rate.Limiter
	first   chan struct{} // holds a token while nobody is first in line

	mu      sync.Mutex
	changed chan struct{} // closed and replaced by set
}

func newTurnstile(perSecond float64, burst int) *turnstile {
	t := &turnstile{
		limiter: rate.NewLimiter(rate.Limit(perSecond), burst),
		first:   make(chan struct{}, 1), changed: make(chan struct{}),
	}
	t.first <- struct{}{}
	return t
}

func (t *turnstile) set(perSecond float64, burst int) {
	t.limiter.SetLimit(rate.Limit(perSecond))
	t.limiter.SetBurst(burst)
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *turnstile) full() bool {
	return t.limiter.Tokens() >= float64(t.limiter.Burst()) && len(t.first) == 1
}

func (t *turnstile) wait(ctx context.Context) error {
	err := t.enter(ctx)
	if err == nil {
		t.leave(true)
	}
	return err
}

// enter waits until one may go through. Nobody else does before leave.
func (t *turnstile) enter(ctx context.Context) error {
	select {
	case <-t.first:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := t.due(ctx)
	if err != nil {
		t.leave(false)
	}
	return err
}

// leave lets the next in line enter, once who has entered goes or does not.
func (t *turnstile) leave(goes bool) {
	if goes {
		t.limiter.Allow()
	}
	t.first <- struct{}{}
}

// due waits until the limiter has a token for who is first in line.
func (t *turnstile) due(ctx context.Context) error {
	for {
		t.mu.Lock()
		changed := t.changed
		t.mu.Unlock()
		if t.limiter.Tokens() >= 1 {
			return nil
		}
		var due <-chan time.Time
		if limit := t.limiter.Limit(); limit > 0 { // at 0 only a change helps
			missing := 1 - t.limiter.Tokens()
			timer := time.NewTimer(max(time.Duration(missing/float64(limit)*float64(time.Second)), time.Microsecond))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-due:
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
