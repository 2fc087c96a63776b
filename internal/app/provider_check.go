package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"messaging-worker/internal/adapters/common"
	"messaging-worker/internal/health"
	"messaging-worker/internal/worker/route"
)

// probeInterval is how often readiness asks the provider, where it does.
const probeInterval = 15 * time.Second

// watchProvider keeps the provider's check true until ctx ends.
func (r *readiness) watchProvider(ctx context.Context) {
	if !r.config.HealthProbe || r.probe == nil {
		return
	}
	for {
		r.probeProvider(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(probeInterval):
		case <-ctx.Done():
			return
		}
	}
}

// probeProvider makes one probe for the provider's check. While the breaker is
// not closed it probes by itself; credentials that were refused wait as they do
// there.
func (r *readiness) probeProvider(ctx context.Context) {
	if s, _, reason := r.route.Breaker(); s != route.Closed {
		r.health.Set("provider", errors.New(reason))
		return
	}
	if !r.credentials.Due() {
		return
	}
	ask, cancel := context.WithTimeout(ctx, r.config.Worker.ProviderTimeout)
	defer cancel()
	err := r.probe(ask)
	switch f := common.Classify(err); {
	case ctx.Err() != nil:
		return
	case f == nil:
		r.credentials.Accepted()
	case f.Credentials:
		err = fmt.Errorf("%w%s", err, route.NextTry(r.credentials.Refused()))
	}
	r.health.Set("provider", err)
}

// showBreaker returns the listener that keeps the checks of breaker and provider
// true.
func showBreaker(h *health.Health) func(s route.BreakerState, reason string) {
	return func(s route.BreakerState, reason string) {
		switch s {
		case route.Closed:
			h.Set("breaker", nil)
			h.Set("provider", nil) // good calls, or a good probe, have closed it
			return
		case route.HalfOpen:
			h.Set("provider", nil) // a good probe
		case route.Open:
			h.Set("provider", errors.New(reason))
		}
		h.Set("breaker", fmt.Errorf("%s: %s", s, reason))
	}
}
