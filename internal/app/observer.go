package app

import (
	"time"

	"messaging-worker/internal/health"
	"messaging-worker/internal/kafka/consumer"
	"messaging-worker/internal/worker/route"
)

// observer tells health and route how the consumer fares.
type observer struct {
	health       *health.Health
	poll, commit *health.Loop
	route        *route.Route
	drain        time.Duration // how long a drain may take
}

// Polling implements consumer.Observer.
func (o observer) Polling() { o.poll.Beat() }

// Committing implements consumer.Observer.
func (o observer) Committing() { o.commit.Beat() }

// Draining replaces the watch over the poll loop, which has ended as it should.
// A drain may be silent for as long as its time-out; only one that outlives it
// is stuck.
func (o observer) Draining() {
	o.poll.End()
	o.health.Watch("drain", o.drain+stuckAfter)
}

// Share implements consumer.Observer.
func (o observer) Share(part float64) { o.route.Share(part) }

var _ consumer.Observer = observer{}
