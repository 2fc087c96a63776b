// Package load puts many requests on Kafka and measures how fast that goes
// and, where asked, what the workers make of them: whether each one came to
// exactly one end. Its memory depends on what is open, not on how many there
// were.
package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"messaging-worker/internal/config"
	"messaging-worker/internal/kafka"
	"messaging-worker/internal/lifetime"
	"messaging-worker/internal/ops"
)

// MaxMessages is the most that a run may have: a message id has no more digits.
const MaxMessages = 1 << (4 * idDigits)

// Options of a run. Payload, BatchBytes and one of Messages and Duration are
// required.
type Options struct {
	Payload

	Messages uint64        // at most MaxMessages; 0 means no bound
	Duration time.Duration // of producing; 0 means no bound
	Rate     float64       // messages a second; 0 means as fast as it goes
	NoKeys   bool          // records without a key, instead of the message id

	Acks        string // all, 1 or 0
	BatchBytes  int
	Linger      time.Duration
	Compression string

	Await   bool          // follow every message to its end
	Timeout time.Duration // Await ends when no message has ended for so long

	// Progress, where it is not nil, is called every progressEvery. It must
	// not block.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Acked, Ended uint64 // messages that are acknowledged, and that are final
	Produced     bool   // nothing more is produced
}

// Report is what a run came to.
type Report struct {
	Channel     string  `json:"channel"`
	Topic       string  `json:"topic"`
	Run         string  `json:"run"` // the message ids begin with it
	Messages    uint64  `json:"messages"`
	MessageSize int     `json:"message_size"`
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"messages_per_second"`
	MiBPerSec   float64 `json:"mib_per_second"`
	Latency     Latency `json:"produce_latency_ms"`
	Failed      uint64  `json:"not_acknowledged,omitzero"`
	Outcome     *Ends   `json:"outcome,omitzero"` // of Await

	Interrupted bool `json:"interrupted,omitzero"`
}

// Ends is what became of a run's messages.
type Ends struct {
	Sent     uint64   `json:"sent"`
	Failed   uint64   `json:"failed"`
	Canceled uint64   `json:"canceled,omitzero"` // by an operator's order
	Lost     int64    `json:"lost"`              // acknowledged, and no final event in time
	Open     int64    `json:"open,omitzero"`     // neither: the run was cut short
	Doubled  uint64   `json:"doubled"`           // final events beyond a message's first
	Seconds  float64  `json:"seconds"`           // from the first request to the last final event
	Latency  Latency  `json:"end_to_end_latency_ms"`
	LostIDs  []string `json:"lost_ids,omitzero"` // the first of them
}

// Whole reports whether every message came to exactly one end.
func (e *Ends) Whole() bool { return e == nil || e.Lost == 0 && e.Doubled == 0 }

// progressEvery is how often Progress is called.
const progressEvery = 200 * time.Millisecond

// Run carries out a load with the settings of its channel. The report is there
// whenever something was produced, also beside an error. The end of ctx ends
// the run early, and the report says so.
func Run(ctx context.Context, c *config.Config, o Options) (*Report, error) {
	run := newRunID()
	t, err := o.template(run)
	if err != nil {
		return nil, err
	}
	p, err := newProducer(ctx, c, o, run, t)
	if err != nil {
		return nil, err
	}
	defer p.client.Close()
	needs := []kafka.Need{{Topic: c.Kafka.RequestTopic, Write: true}}
	if o.Await {
		needs = append(needs, kafka.Need{Topic: c.Kafka.StatusTopic, Read: true})
	}
	if err := ops.NeedTopics(ctx, p.client, needs...); err != nil {
		return nil, err
	}
	if !o.Await {
		defer watch(ctx, p)()
		err := p.produce(ctx)
		return p.report(ctx, c), err
	}
	follower, err := ops.Follow(ctx, p.client, false, c.Kafka.StatusTopic)
	if err != nil {
		return nil, err
	}
	p.await = &await{follower: follower, run: run, ledger: ledger{pages: map[uint64]*page{}}}
	defer watch(ctx, p)()
	return runAwaited(ctx, c, p, p.await)
}

func runAwaited(ctx context.Context, c *config.Config, p *producer, a *await) (*Report, error) {
	following, unfollow := context.WithCancel(ctx)
	defer unfollow()
	var wg sync.WaitGroup
	var followed error
	wg.Go(func() {
		defer unfollow() // a follower that broke has nothing to wait for
		followed = a.follow(following)
	})
	begun := time.Now()
	produced := p.produce(ctx)
	if produced == nil {
		a.wait(following, p.o.Timeout)
	}
	unfollow()
	wg.Wait()
	if errors.Is(followed, context.Canceled) {
		followed = nil
	}
	r := p.report(ctx, c)
	r.Outcome = a.ends(begun, produced != nil || followed != nil || ctx.Err() != nil)
	return r, errors.Join(produced, followed)
}

// watch reports progress until its answer is called, and once more then.
func watch(ctx context.Context, p *producer) (end func()) {
	if p.o.Progress == nil {
		return func() {}
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		for more := true; more; {
			more = lifetime.Sleep(watching, progressEvery) == nil
			ended := uint64(0)
			if p.await != nil {
				ended = p.await.ended()
			}
			p.o.Progress(Progress{p.acked.Load(), ended, p.over.Load()})
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
